import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { storeError, unlessMissing } from '../util/files';

/** One file of an archive, as it lies on this machine's disk. */
export interface ArchiveFile {
  /** In the archive. */
  name: string;
  path: string;
  size: number;
  /** sha256 of its bytes, where they have been read already. */
  digest?: string;
  /** It's a copy of our own, on the store's file system: it may be moved into the store. */
  ours: boolean;
}

/** The files of an archive or a folder by their names there. */
export interface ArchiveFiles {
  /** Undefined when there is none. @throws ERR_INVALID_IMAGE for what is no file, or leads out of the archive */
  find(name: string): Promise<ArchiveFile | undefined>;
}

// Not blocked by a fifo that took a file's place, and not led out by a link.
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** An OCI image layout as a folder of the user. Names are ours or made of digests. */
export class FolderFiles implements ArchiveFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async find(name: string): Promise<ArchiveFile | undefined> {
    let path = this.#folder;
    const parts = name.split('/');
    for (const [index, part] of parts.entries()) {
      path = join(path, part);
      const stats = await unlessMissing(lstat(path));
      if (!stats) {
        return undefined;
      }
      const last = index === parts.length - 1;
      if (!(last ? stats.isFile() : stats.isDirectory())) {
        throw invalidArchive(`${path} is no ${last ? 'file' : 'folder'} of its own`);
      }
      if (last) {
        return { name, path, size: stats.size, ours: false };
      }
    }
    return undefined;
  }
}

/** A document of the archive, whole. @throws ERR_INVALID_IMAGE when it is missing or too large */
export async function readDocument(files: ArchiveFiles, name: string, maxBytes: number): Promise<Buffer> {
  const file = await files.find(name);
  if (!file) {
    throw invalidArchive(`it has no ${name}`);
  }
  if (file.size > maxBytes) {
    throw invalidArchive(`its ${name} has more than ${maxBytes} bytes`);
  }
  const chunks: Buffer[] = [];
  for await (const chunk of readArchiveFile(file)) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The file's bytes, at most as many as it had when it was found. */
export async function* readArchiveFile({ path, size }: ArchiveFile): AsyncGenerator<Buffer, void, undefined> {
  const handle = await open(path, openFlags).catch((error: unknown) => {
    throw storeError(error, `read ${path}`);
  });
  if (size === 0) {
    await handle.close();
    return;
  }
  yield* handle.createReadStream({ highWaterMark: 256 * 1024, end: size - 1 }) as AsyncIterable<Buffer>;
}

/** Its first bytes, enough to tell a compression. */
export async function headOf(file: ArchiveFile): Promise<Buffer> {
  for await (const chunk of readArchiveFile(file)) {
    return chunk;
  }
  return Buffer.alloc(0);
}

export function invalidArchive(why: string, cause?: unknown): DinghyError {
  return new DinghyError({
    code: 'ERR_INVALID_IMAGE',
    message: `bad image archive: ${why}`,
    ...(cause === undefined ? {} : { cause }),
  });
}
