import type { ImageConfig } from '../../../lib/oci/image-config';
import { makeHealth } from '../../../lib/oci/spec-health';

const image = {
  healthcheck: { test: ['CMD-SHELL', 'curl -f localhost'], intervalMs: 1500.4, retries: 5 },
  shell: ['/bin/bash', '-c'],
} as unknown as ImageConfig;
const bare = { shell: ['/bin/sh', '-c'] } as unknown as ImageConfig;

test.each([
  ["the image's", image, undefined, { args: ['/bin/bash', '-c', 'curl -f localhost'], intervalMs: 1500, retries: 5 }],
  ['none', bare, undefined, undefined],
  ['a test of its own', bare, { test: ['CMD', 'ok', '-x'] }, { args: ['ok', '-x'] }],
  ['the shell', bare, { test: ['CMD-SHELL', 'a b'] }, { args: ['/bin/sh', '-c', 'a b'] }],
  [
    "numbers over the image's, zeroes under them",
    image,
    { intervalMs: 7, retries: 0, timeoutMs: 9 },
    { args: ['/bin/bash', '-c', 'curl -f localhost'], intervalMs: 7, timeoutMs: 9, retries: 5 },
  ],
  ['switched off', image, { test: ['NONE'] }, undefined],
  ['switched off by the image', { ...image, healthcheck: { test: ['NONE'] } }, undefined, undefined],
])('%s', (_name, config, given, expected) => {
  expect(makeHealth(config, given)).toEqual(expected);
});

test('numbers without any test are refused', () => {
  expect(() => makeHealth(bare, { intervalMs: 5 })).toThrow(/the image has no health check/);
});
