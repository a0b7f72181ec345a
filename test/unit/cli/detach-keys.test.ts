import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { detachKeys, DetachScanner, parseKeys } from '../../../lib/cli/detach-keys';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

test.each([
  ['ctrl-p,ctrl-q', [16, 17]],
  ['a,b', [97, 98]],
  ['ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_', [0, 27, 28, 29, 30, 31]],
  ['ctrl-z', [26]],
])('%s are the bytes %j', (text, bytes) => {
  expect([...parseKeys(text)]).toEqual(bytes);
});

test.each(['', 'ctrl-', 'ctrl-1', 'CTRL-p', 'ab', 'a,', 'é', 'ctrl-p, ctrl-q'])('%j are no keys', (text) => {
  expect(() => parseKeys(text)).toThrow('--detach-keys takes keys');
});

test('the flag goes before the configuration of Docker, and that before ctrl-p ctrl-q', () => {
  const folder = temporaryFolder('docker');
  try {
    const env = { DOCKER_CONFIG: folder };
    expect([...detachKeys(undefined, env)]).toEqual([16, 17]);
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ detachKeys: 'ctrl-x' }));
    expect([...detachKeys(undefined, env)]).toEqual([24]);
    expect([...detachKeys('z', env)]).toEqual([122]);
    writeFileSync(join(folder, 'config.json'), '{');
    expect([...detachKeys(undefined, env)]).toEqual([16, 17]);
  } finally {
    removeFolder(folder);
  }
});

async function scan(keys: string, chunks: string[]): Promise<[string, number]> {
  let detached = 0;
  const scanner = new DetachScanner(parseKeys(keys), () => detached++);
  chunks.forEach((chunk) => scanner.write(chunk));
  scanner.end();
  return [Buffer.concat(await scanner.toArray()).toString(), detached];
}

test('all passes but the keys, whatever way they come', async () => {
  const [p, q] = ['\x10', '\x11'];
  const keys = 'ctrl-p,ctrl-q';
  expect(await scan(keys, ['abc'])).toEqual(['abc', 0]);
  expect(await scan(keys, [`ab${p}${q}lost`])).toEqual(['ab', 1]);
  expect(await scan(keys, [`ab${p}`, `${q}lost`, 'lost too'])).toEqual(['ab', 1]);
  expect(await scan(keys, [`${p}`, `x${q}`])).toEqual([`${p}x${q}`, 0]);
  expect(await scan(keys, [`${p}${p}${q}`])).toEqual([p, 1]);
  expect(await scan(keys, [p])).toEqual([p, 0]);
  expect(await scan('a', ['xa'])).toEqual(['x', 1]);
});
