import { containerPath, containerSource, hostPath, hostSource } from '../../../lib/run/copy-paths';

test.each([
  ['/a/b', '/a/b'],
  ['a/../b//c', '/b/c'],
  ['/a/', '/a/'],
  ['/a/.', '/a/.'],
  ['.', '/.'],
  ['/', '/'],
  ['/../..', '/'],
  ['/a/b/..', '/a'],
])('the container has %s as %s', (path, clean) => {
  expect(containerPath('path', path)).toBe(clean);
});

test('a path of this host begins in the working folder', () => {
  expect(hostPath('path', 'x')).toBe(`${process.cwd()}/x`);
  expect(hostPath('path', './x/')).toBe(`${process.cwd()}/x/`);
  expect(hostPath('path', '.')).toBe(`${process.cwd()}/.`);
  expect(hostPath('path', '/x/../y/.')).toBe('/y/.');
});

test.each([
  ['/a/b', { name: 'b', contents: false, entered: false }],
  ['/a/b/', { name: 'b', contents: false, entered: true }],
  ['/a/b/.', { name: 'b', contents: true, entered: true }],
  ['/', { name: '', contents: true, entered: true }],
  ['/.', { name: '', contents: true, entered: true }],
])('%s as a source', (path, expected) => {
  expect(containerSource('source', path)).toMatchObject(expected);
  expect(hostSource('source', path)).toMatchObject(expected);
});

test.each(['', 'a\0b', 7, undefined])('%j is refused', (path) => {
  expect(() => hostSource('source', path)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error);
  expect(() => containerPath('destination', path)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error,
  );
});
