import { canonicalName, familiarName, parseReference } from '../../../lib/oci/reference';

const hex = 'a'.repeat(64);

describe('parseReference', () => {
  it.each([
    ['nginx', 'docker.io', 'library/nginx', 'latest', undefined],
    ['nginx:1.18', 'docker.io', 'library/nginx', '1.18', undefined],
    ['user/app', 'docker.io', 'user/app', 'latest', undefined],
    ['docker.io/nginx', 'docker.io', 'library/nginx', 'latest', undefined],
    ['index.docker.io/library/nginx', 'docker.io', 'library/nginx', 'latest', undefined],
    ['ghcr.io/a/b/c:v1', 'ghcr.io', 'a/b/c', 'v1', undefined],
    ['localhost/app', 'localhost', 'app', 'latest', undefined],
    ['localhost:5000/app:x', 'localhost:5000', 'app', 'x', undefined],
    ['host:5000/app', 'host:5000', 'app', 'latest', undefined],
    ['[::1]:5000/app:x', '[::1]:5000', 'app', 'x', undefined],
    ['MyHost/app', 'MyHost', 'app', 'latest', undefined],
    ['localhost', 'docker.io', 'library/localhost', 'latest', undefined],
    [`nginx@sha256:${hex}`, 'docker.io', 'library/nginx', undefined, `sha256:${hex}`],
    [`nginx:1.18@sha256:${hex}`, 'docker.io', 'library/nginx', '1.18', `sha256:${hex}`],
    ['a__b/c--d.e_f', 'docker.io', 'a__b/c--d.e_f', 'latest', undefined],
  ])('%s', (text, registry, repository, tag, digest) => {
    expect(parseReference(text)).toEqual({
      original: text,
      registry,
      repository,
      ...(tag ? { tag } : {}),
      ...(digest ? { digest } : {}),
    });
  });

  it.each([
    ['', /empty/],
    [hex, /image id/],
    ['https://ghcr.io/a', /no scheme/],
    ['nginx:', /tag after ":" is empty/],
    ['nginx:-x', /its tag/],
    [`nginx:${'x'.repeat(129)}`, /longer than 128/],
    ['Nginx', /must be in lower case/],
    ['nginx//x', /empty/],
    ['ghcr.io/', /empty/],
    ['/nginx', /empty/],
    ['a/../b', /may hold/],
    ['-host.io/x', /not a host/],
    ['host.io:99999/x', /not a host/],
    ['nginx@sha256:abc', /64 lowercase hexadecimal/],
    ['nginx@sha256:../../x', /64 lowercase hexadecimal/],
    [`nginx@sha256:${'A'.repeat(64)}`, /64 lowercase hexadecimal/],
    ['nginx@md5:abc', /only sha256 and sha512/],
    ['nginx@sha256:' + hex + '@x', /64 lowercase/],
    ['ngi\nnx', /may hold/],
    [`${'a/'.repeat(140)}a`, /longer than 255/],
    [7, /is a string, not number/],
  ])('refuses %j', (text, message) => {
    expect(() => parseReference(text)).toThrow(message);
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_REFERENCE' }));
  });

  it('gives one canonical and one familiar name', () => {
    for (const [text, canonical, familiar] of [
      ['nginx', 'docker.io/library/nginx:latest', 'nginx:latest'],
      ['docker.io/user/app:1', 'docker.io/user/app:1', 'user/app:1'],
      ['docker.io/localhost/app:1', 'docker.io/localhost/app:1', 'docker.io/localhost/app:1'],
      ['ghcr.io/a/b', 'ghcr.io/a/b:latest', 'ghcr.io/a/b:latest'],
      [`nginx:1@sha256:${hex}`, `docker.io/library/nginx@sha256:${hex}`, `nginx:1@sha256:${hex}`],
    ] as const) {
      const reference = parseReference(text);
      expect(canonicalName(reference)).toBe(canonical);
      expect(familiarName(reference)).toBe(familiar);
      expect(canonicalName(parseReference(familiar))).toBe(canonical);
    }
  });
});
