import { appendFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { storeError, unlessMissing } from '../util/files';
import { withLock } from './locks';
import type { StorePaths } from './paths';
import type { TemporaryFolder } from './temporary';

const fileName = 'holds';

/**
 * Keeps content that no image names yet, or that is being read: while it is held no collection takes any of it, in whatever process.
 * It is a temporary folder with a list in it, so that it ends with its process.
 */
export class Lease {
  readonly #paths: StorePaths;
  readonly #folder: TemporaryFolder;

  /** The folder is the lease's own from now on. */
  constructor(paths: StorePaths, folder: TemporaryFolder) {
    this.#paths = paths;
    this.#folder = folder;
  }

  /**
   * What has one of these digests, be it a blob, a layer or a fix layer, stays from now on: look whether it is here after this, not
   * before.
   * @throws ABORT_ERR, ERR_STORE, ERR_NO_SPACE
   */
  async hold(digests: Iterable<string>, signal?: AbortSignal): Promise<void> {
    const text = [...digests].map((digest) => `${digest}\n`).join('');
    const work = (): Promise<void> => appendFile(join(this.#folder.path, fileName), text, { mode: 0o600 });
    try {
      await withLock(this.#paths.lock('content'), work, { mode: 'shared', ...(signal ? { signal } : {}) });
    } catch (error) {
      throw storeError(error, 'note what must stay in the store');
    }
  }

  /** Twice is once. */
  async release(): Promise<void> {
    await rm(join(this.#folder.path, fileName), { force: true });
    await this.#folder.remove();
  }
}

/** The digests that a lease in this folder holds; none when it is no lease. Read while no lease can grow. */
export async function readLease(folder: string): Promise<string[]> {
  const text = await unlessMissing(readFile(join(folder, fileName), 'utf8'));
  return (text ?? '').split('\n').filter((line) => line !== '');
}
