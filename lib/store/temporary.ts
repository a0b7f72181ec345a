import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { flock } from '../native/binding';
import { createLog } from '../log';
import { diskUsage } from '../util/disk-usage';
import { storeError, unlessMissing, writeFileAtomically } from '../util/files';
import { type HeldLock, heldLock } from './locks';
import type { StorePaths } from './paths';

/** A folder of ours under `tmp/`. While `lock` is held (here, or by a process that inherited it) nobody else removes it. */
export interface TemporaryFolder {
  readonly path: string;
  readonly lock: HeldLock;
  /** The folder is gone, and its lock released. Twice is once. Resolves to the bytes freed. */
  remove(): Promise<number>;
}

/** Deletes a whole tree, whatever lies in it. Resolves to the bytes freed. */
export type RemoveTree = (path: string) => Promise<number>;

const log = createLog('store');

export const removeTree: RemoveTree = async (path) => {
  const bytes = await diskUsage(path);
  await rm(path, { recursive: true, force: true, maxRetries: 3 });
  return bytes;
};

/** A new empty folder, 0700, locked. */
export async function makeTemporary(paths: StorePaths, remove: RemoveTree = removeTree): Promise<TemporaryFolder> {
  for (;;) {
    const path = join(paths.temporary, randomBytes(12).toString('hex'));
    try {
      await mkdir(path, { mode: 0o700 });
    } catch (error) {
      throw storeError(error, `make a folder in ${paths.temporary}`);
    }
    const file = await unlessMissing(open(path, 'r'));
    // Between mkdir and flock a sweeping process may have taken it for a leftover: then another one is made.
    if (file && (await lockInPlace(file, path))) {
      const lock = heldLock(file);
      let removed: Promise<number> | undefined;
      return { path, lock, remove: () => (removed ??= discard(path, remove).finally(() => lock.release())) };
    }
    await file?.close();
  }
}

/** Most are empty or have become something else by then, and `remove` may be a process. */
async function discard(path: string, remove: RemoveTree): Promise<number> {
  try {
    await rmdir(path);
    return 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 0 : remove(path);
  }
}

/** As writeFileAtomically; what a killed process leaves of it is swept at once, as other folders here are. */
export async function writeWithDraft(paths: StorePaths, path: string, content: string | Uint8Array): Promise<void> {
  const temporary = await makeTemporary(paths);
  try {
    await writeFileAtomically(path, content, temporary.path);
  } finally {
    await temporary.remove();
  }
}

// A draft of a small file is no folder and has no lock; it lives for milliseconds.
const oldDraftMs = 60 * 60 * 1000;

/** What dead processes left in `tmp/` is gone; what living ones use stays. Resolves to how many it was. */
export async function sweepTemporary(paths: StorePaths, remove: RemoveTree = removeTree): Promise<number> {
  let swept = 0;
  for (const name of (await unlessMissing(readdir(paths.temporary))) ?? []) {
    const path = join(paths.temporary, name);
    const file = await open(path, 'r').catch(() => undefined);
    try {
      if (file && (await isLeftover(file, path))) {
        await remove(path);
        swept++;
        log('swept %s', path);
      }
    } finally {
      await file?.close();
    }
  }
  return swept;
}

async function isLeftover(file: FileHandle, path: string): Promise<boolean> {
  const stats = await file.stat();
  return stats.isDirectory() ? lockInPlace(file, path) : Date.now() - stats.mtimeMs > oldDraftMs;
}

async function lockInPlace(file: FileHandle, path: string): Promise<boolean> {
  if (!flock(file.fd, 'exclusive')) {
    return false;
  }
  const [opened, present] = await Promise.all([file.stat(), unlessMissing(stat(path))]);
  return present?.ino === opened.ino && present.dev === opened.dev;
}
