import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { layInitialFiles } from '../../../lib/run/initial-files';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

const folder = temporaryFolder('files');
const [top, bottom, upper] = ['top', 'bottom', 'upper'].map((name) => join(folder, name)) as [string, string, string];

beforeAll(() => {
  for (const path of [top, bottom, upper]) {
    mkdirSync(path);
  }
  mkdirSync(join(bottom, 'etc'), { mode: 0o750 });
  mkdirSync(join(bottom, 'run'));
  symlinkSync('/run', join(bottom, 'lock'));
  symlinkSync('../../../../..', join(bottom, 'up'));
  symlinkSync('loop', join(bottom, 'loop'));
  symlinkSync(folder, join(bottom, 'host'));
  writeFileSync(join(top, 'file'), 'x');
});
afterAll(() => removeFolder(folder));

const lay = (path: string): void =>
  layInitialFiles(upper, [top, bottom], [{ path, content: Buffer.from(path), mode: 0o640, uid: 0, gid: 0 }]);

test('links of the image lead nowhere but into its root', () => {
  for (const [path, lands] of [
    ['/etc/app.conf', 'etc/app.conf'],
    ['/lock/a', 'run/a'],
    ['/up/up/b', 'b'],
    [`/host/c`, `${folder.slice(1)}/c`],
    ['/new/folders/d', 'new/folders/d'],
  ] as const) {
    lay(path);
    expect(readFileSync(join(upper, lands), 'utf8')).toBe(path);
    expect(statSync(join(upper, lands)).mode & 0o7777).toBe(0o640);
  }
  expect(statSync(join(upper, 'etc')).mode & 0o7777).toBe(0o750);
  expect(() => readFileSync(join(folder, 'c'))).toThrow('ENOENT');
});

test.each(['/loop/a', '/file/a', '/etc', '/up'])('refuses %s', (path) => {
  expect(() => lay(path)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
});

test('a later file replaces an earlier one', () => {
  lay('/etc/app.conf');
  lay('/lock/../etc/app.conf');
  expect(readFileSync(join(upper, 'etc/app.conf'), 'utf8')).toBe('/lock/../etc/app.conf');
});
