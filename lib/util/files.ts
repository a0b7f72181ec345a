import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, lstat, mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { DinghyError, isDinghyError } from '../errors';

/** The folder is there, with its parents, closed to others. */
export async function ensureFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/** The file's bytes, in pieces that are large enough to be quick and small enough to be hashed in a blink. */
export function readChunks(path: string): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>;
}

/** The names in the folder are on the disk: without this a power cut may forget a rename (fsync(2), NOTES). */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * `path` has this content, and had either its old or this one at every moment before, power cuts included. The temporary file
 * lies beside it, or in `temporary`, which must be on the same file system.
 */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  temporary = dirname(path),
): Promise<void> {
  const draft = join(temporary, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw storeError(error, `write ${path}`);
  }
  await syncFolder(dirname(path));
}

/**
 * The folder is at `target`, in another one. Its `..` changes by that, which only root may do to a folder that its owner may not write in
 * (rename(2), EACCES): on the way it is open to its owner, so a crash may leave it so.
 */
export async function moveFolder(path: string, target: string): Promise<void> {
  const { mode } = await lstat(path);
  const closed = (mode & 0o200) === 0 && process.geteuid?.() !== 0;
  if (closed) {
    await chmod(path, mode | 0o200);
  }
  await rename(path, target);
  if (closed) {
    await chmod(target, mode & 0o7777);
  }
}

/** The typed error for what the file system said. */
export function storeError(error: unknown, doing: string): unknown {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  if (isDinghyError(error) || typeof code !== 'string') {
    return error;
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const why = code === 'ENOSPC' ? 'the disk is full' : 'the disk quota is used up';
    return new DinghyError({ code: 'ERR_NO_SPACE', message: `cannot ${doing}: ${why}: free some space`, cause: error });
  }
  return new DinghyError({ code: 'ERR_STORE', message: `cannot ${doing}: ${code}`, cause: error });
}

/** The value, or undefined where the file does not exist. */
export async function unlessMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

export async function isThere(path: string): Promise<boolean> {
  return (await unlessMissing(stat(path))) !== undefined;
}
