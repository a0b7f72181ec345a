import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { acquireLock, removeLock } from '../../lib/store/locks';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

let folder: string;
let path: string;

beforeEach(() => {
  folder = temporaryFolder('locks');
  mkdirSync(join(folder, 'locks'));
  path = join(folder, 'locks', 'layer-1');
});
afterEach(() => removeFolder(folder));

it('is held by one at a time, though its file is removed again and again', async () => {
  let holders = 0;
  let turns = 0;
  let done = false;
  const remover = (async () => {
    for (; !done; await new Promise((resolve) => setImmediate(resolve))) await removeLock(path);
  })();
  const worker = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn++) {
      const lock = await acquireLock(path);
      holders++;
      await new Promise((resolve) => setImmediate(resolve));
      expect(holders).toBe(1);
      holders--;
      turns++;
      await lock.release();
    }
  };
  await Promise.all([worker(), worker(), worker()]);
  done = true;
  await remover;
  expect(turns).toBe(150);
  await removeLock(path);
  expect(existsSync(path)).toBe(false);
});

it('stays while it is held', async () => {
  const lock = await acquireLock(path);
  await removeLock(path);
  expect(existsSync(path)).toBe(true);
  await lock.release();
});
