import { StorePaths } from '../../../lib/store/paths';

const paths = new StorePaths('/data');

it('makes every name below the root', () => {
  expect(paths.blob(`sha256:${'a'.repeat(64)}`)).toBe(`/data/blobs/sha256/${'a'.repeat(64)}`);
  expect(paths.layer(`sha512:${'a'.repeat(128)}`)).toBe(`/data/layers/${'a'.repeat(128)}`);
  expect(paths.name('nginx-server')).toBe('/data/names/nginx-server');
});

// CVE-2024-3727 and its kin: what an image or a user says became a path.
it.each(['..', '.', '', 'a/b', '../x', 'a\0b', '-x', '.hidden', 'a'.repeat(300)])(
  'refuses %j as a name of anything',
  (text) => {
    for (const make of [
      () => paths.blob(text),
      () => paths.blob(`sha256:${text}`),
      () => paths.layer(text),
      () => paths.fix(text),
      () => paths.container(text),
      () => paths.name(text),
      () => paths.network(text),
      () => paths.volume(text),
      () => paths.lock(text),
    ]) {
      expect(make).toThrow(expect.objectContaining({ code: expect.stringMatching(/^ERR_INVALID_(DIGEST|OPTION)$/) }));
    }
  },
);
