import { createHash } from 'node:crypto';
import { type Stats } from 'node:fs';
import { open, readdir, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { DinghyError } from '../errors';
import { digestOf, parseDigest } from '../oci/digest';
import { ensureFolder, readChunks, storeError, syncFolder, unlessMissing } from '../util/files';
import type { StorePaths } from './paths';
import { writeWithDraft } from './temporary';

const maxInMemoryBytes = 4 * 1024 * 1024;

/** Content by digest. What is here was verified before it came in, and is not changed. */
export class BlobStore {
  readonly #paths: StorePaths;

  constructor(paths: StorePaths) {
    this.#paths = paths;
  }

  path(digest: string): string {
    return this.#paths.blob(digest);
  }

  /** Its size in bytes, or undefined when it is not here. */
  async size(digest: string): Promise<number | undefined> {
    return (await unlessMissing<Stats>(stat(this.path(digest))))?.size;
  }

  /** True when it is here with this size: a file that was cut short does not count. */
  async has(digest: string, size: number): Promise<boolean> {
    return (await this.size(digest)) === size;
  }

  /**
   * A small blob (manifest, config), verified again: a disk may have changed what was right when it was written.
   * @throws ERR_STORE when it is missing, too large or damaged
   */
  async read(digest: string): Promise<Buffer> {
    const { algorithm } = parseDigest(digest);
    const file = await unlessMissing(open(this.path(digest), 'r'));
    if (!file) {
      throw damaged(digest, 'is missing');
    }
    try {
      if ((await file.stat()).size > maxInMemoryBytes) {
        throw damaged(digest, `has more than ${maxInMemoryBytes} bytes`);
      }
      const bytes = await file.readFile().catch((error: unknown) => {
        throw storeError(error, `read the blob ${digest}`);
      });
      if (digestOf(bytes, algorithm) !== digest) {
        throw damaged(digest, 'is damaged');
      }
      return bytes;
    } finally {
      await file.close();
    }
  }

  /** The bytes are stored, durably, and their digest returned; by whom and when doesn't matter. */
  async write(bytes: Buffer, digest = digestOf(bytes)): Promise<string> {
    const { algorithm } = parseDigest(digest);
    if (digestOf(bytes, algorithm) !== digest) {
      throw new DinghyError({
        code: 'ERR_DIGEST_MISMATCH',
        message: `refused to store bytes as ${digest} that have another digest`,
      });
    }
    const present = await this.read(digest).catch(() => undefined);
    if (!present) {
      await this.#ensureFolder(digest);
      await writeWithDraft(this.#paths, this.path(digest), bytes);
    }
    return digest;
  }

  /** A file that was verified while it was written becomes the blob, durably. It must lie on the store's file system. */
  async adopt(file: string, digest: string): Promise<void> {
    const target = this.path(digest);
    try {
      const handle = await open(file, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
      await this.#ensureFolder(digest);
      await rename(file, target);
      await syncFolder(dirname(target));
    } catch (error) {
      throw storeError(error, `store the blob ${digest}`);
    }
  }

  /** True when the bytes on disk still have the digest. */
  async verify(digest: string): Promise<boolean> {
    const { algorithm, hex } = parseDigest(digest);
    const hash = createHash(algorithm);
    for await (const chunk of readChunks(this.path(digest))) {
      hash.update(chunk);
    }
    return hash.digest('hex') === hex;
  }

  /** The digests of all blobs. */
  async list(): Promise<string[]> {
    const found: string[] = [];
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const names = (await unlessMissing(readdir(this.#paths.blobFolder(algorithm)))) ?? [];
      const form = algorithm === 'sha256' ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{128}$/;
      found.push(...names.filter((name) => form.test(name)).map((name) => `${algorithm}:${name}`));
    }
    return found;
  }

  // sha512 is rare: its folder appears with its first blob.
  async #ensureFolder(digest: string): Promise<void> {
    await ensureFolder(dirname(this.path(digest)));
  }
}

function damaged(digest: string, why: string): DinghyError {
  return new DinghyError({
    code: 'ERR_STORE',
    message: `the blob ${digest} ${why}: pull its image again with force`,
    details: { digest },
  });
}
