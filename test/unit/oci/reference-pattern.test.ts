import { referenceMatcher } from '../../../lib/oci/reference-pattern';

test.each([
  ['nginx', 'nginx:1.18', true],
  ['nginx:1.18', 'nginx:1.18', true],
  ['nginx:1.*', 'nginx:1.18', true],
  ['ng?nx', 'nginx:1.18', true],
  ['ng[a-i]nx', 'nginx:1.18', true],
  ['ng[^a-i]nx', 'nginx:1.18', false],
  ['ng\\\\inx', 'nginx:1.18', false],
  ['ng\\inx', 'nginx:1.18', true],
  ['docker.io/library/nginx', 'nginx:1.18', true],
  ['docker.io/library/nginx:1.18', 'nginx:1.18', true],
  ['ngin', 'nginx:1.18', false],
  ['*', 'team/app:2', false],
  ['*/*', 'team/app:2', true],
  ['*/app', 'localhost:5000/app:2', true],
  ['localhost:5000/app', 'localhost:5000/app:2', true],
  ['a.p', 'app:1', false],
  ['a.p+(', 'a.p+(', true],
  ['*]*', 'what[ever]:x', true],
])('%s and %s: %s', (pattern, reference, fits) => {
  expect(referenceMatcher(pattern)(reference)).toBe(fits);
});

test.each(['[', 'a[', '[]', 'a\\', '[z-a]', 'x[a-'])('%s is refused', (pattern) => {
  expect(() => referenceMatcher(pattern)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_REFERENCE' }));
});
