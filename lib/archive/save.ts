import { randomBytes } from 'node:crypto';
import { createWriteStream, type Stats } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { contentOfImage } from '../store/images';
import type { Store } from '../store/store';
import { abortError, throwIfAborted } from '../util/abort';
import { invalidOption } from '../util/checks';
import { storeError, syncFolder, unlessMissing } from '../util/files';
import { type ImageToSave, layoutFiles, type SavedFile } from './saved-files';
import { tarOf } from './write-tar';

export type SaveFormat = 'docker-archive' | 'oci-archive' | 'oci';

export interface SaveOptions {
  /** Default `'docker-archive'`, which is an OCI archive as well. `'oci'` is a folder with an OCI image layout. */
  format?: SaveFormat;
  signal?: AbortSignal;
}

/**
 * The images are in one archive: a file or folder that appears when it is complete, or a stream, which is ended. Every byte was
 * compared with its digest on the way. When it fails or is aborted the file or folder is as before; a stream is destroyed.
 * @throws ERR_INVALID_OPTION, ERR_STORE, ERR_NO_SPACE, ABORT_ERR, and what the stream throws
 */
export async function saveImages(
  target: string | Writable,
  images: readonly ImageToSave[],
  store: Store,
  { format = 'docker-archive', signal }: SaveOptions = {},
): Promise<void> {
  throwIfAborted(signal);
  if (format === 'oci' && typeof target !== 'string') {
    throw invalidOption('format', format, "must be 'docker-archive' or 'oci-archive' for a stream: 'oci' is a folder");
  }
  const lease = await store.lease();
  try {
    await lease.hold(
      images.flatMap(({ image }) => contentOfImage(image)),
      signal,
    );
    const files = await layoutFiles(store, images, { docker: format === 'docker-archive' });
    if (typeof target !== 'string') {
      await pour(tarOf(files), target, signal);
    } else if (format === 'oci') {
      await writeFolder(resolve(target), files, signal);
    } else {
      await writeFile(resolve(target), files, signal);
    }
  } finally {
    await lease.release();
  }
}

async function writeFile(path: string, files: readonly SavedFile[], signal: AbortSignal | undefined): Promise<void> {
  const present = await look(path);
  if (present?.isDirectory()) {
    throw invalidOption('target', path, "must be a file, or the format 'oci'");
  }
  if (present && !present.isFile()) {
    return pour(tarOf(files), createWriteStream(path), signal); // a pipe, or a device
  }
  const draft = draftOf(path);
  try {
    await pour(tarOf(files), createWriteStream(draft, { flags: 'wx', flush: true }), signal);
    await rename(draft, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(draft, { force: true });
    throw targetError(path, error);
  }
}

async function writeFolder(path: string, files: readonly SavedFile[], signal: AbortSignal | undefined): Promise<void> {
  const present = await look(path);
  if (present && !present.isDirectory()) {
    throw invalidOption('target', path, 'must be a folder that is empty or not there yet');
  }
  const draft = draftOf(path);
  try {
    await mkdir(draft);
    for (const { name, open } of files) {
      const file = join(draft, name);
      await mkdir(dirname(file), { recursive: true });
      await pour(open(), createWriteStream(file, { flags: 'wx', flush: true }), signal);
    }
    await rename(draft, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw targetError(path, error);
  }
}

async function pour(source: AsyncIterable<Buffer>, target: Writable, signal: AbortSignal | undefined): Promise<void> {
  try {
    await pipeline(Readable.from(source, { objectMode: false }), target, signal ? { signal } : {});
  } catch (error) {
    throw signal?.aborted ? abortError(signal) : error;
  }
}

async function look(path: string): Promise<Stats | undefined> {
  try {
    return await unlessMissing(stat(path));
  } catch (error) {
    throw targetError(path, error);
  }
}

/** Beside the target, so that it can be renamed. */
function draftOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
}

const userErrors = ['ENOENT', 'EACCES', 'ENOTDIR', 'EROFS', 'EISDIR', 'EPERM', 'ENOTEMPTY', 'EEXIST', 'ENAMETOOLONG'];

/** What is wrong with where the user wants it is an error of the option; the rest are errors of the disk. */
function targetError(path: string, error: unknown): unknown {
  const { code, path: at } = error as NodeJS.ErrnoException;
  if (typeof code === 'string' && userErrors.includes(code)) {
    const why = code === 'ENOTEMPTY' || code === 'EEXIST' ? 'it is not empty' : `${code}${at ? ` at ${at}` : ''}`;
    return invalidOption('target', path, `must be where a new file or folder can be made (${why})`);
  }
  return storeError(error, `write ${path}`);
}
