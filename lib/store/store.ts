import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { createLog } from '../log';
import { BlobStore } from './blobs';
import { type CollectOptions, moveGarbage, replaceFolder } from './collect';
import { diskUsage } from '../util/disk-usage';
import { ensureFolder, storeError, unlessMissing, writeFileAtomically } from '../util/files';
import { ImageStore } from './images';
import { type LayerRecord, LayerStore } from './layers';
import { Lease } from './lease';
import { tryLockNow, withLock } from './locks';
import { StorePaths } from './paths';
import { ReferenceStore } from './references';
import {
  makeTemporary,
  removeTree,
  type RemoveTree,
  sweepTemporary,
  type TemporaryFolder,
  writeWithDraft,
} from './temporary';

const log = createLog('store');
const layoutVersion = '1.0.0';

export interface StoreOptions {
  /** Absolute. */
  root: string;
  /** How whole trees are deleted: by the binary where it can (other users' files, closed folders), else by Node. */
  remove?: RemoveTree;
}

/** The data root: an OCI image layout (image-spec, image-layout.md) with the unpacked layers beside it. Making one does no I/O. */
export class Store {
  readonly paths: StorePaths;
  readonly blobs: BlobStore;
  readonly layers: LayerStore;
  readonly references: ReferenceStore;
  readonly images: ImageStore;
  readonly #remove: RemoveTree;
  #opened: Promise<void> | undefined;
  #sweeping: Promise<void> | undefined;

  constructor({ root, remove = removeTree }: StoreOptions) {
    this.#remove = remove;
    this.paths = new StorePaths(root);
    this.blobs = new BlobStore(this.paths);
    this.layers = new LayerStore(this.paths);
    this.references = new ReferenceStore(this.paths);
    this.images = new ImageStore(this);
  }

  /**
   * The folders are there, closed to other users, and what dead processes left is being removed. Once per Store, however often
   * it is called; a failure is forgotten, so that the next call tries again.
   * @throws ERR_STORE, ERR_NO_SPACE
   */
  open(): Promise<void> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      throw storeError(error, `open the data folder ${this.paths.root}`);
    });
    return this.#opened;
  }

  /** Nothing of this Store is under way any more. It may be opened again. */
  async close(): Promise<void> {
    await this.#opened?.catch(() => undefined);
    await this.#sweeping;
  }

  /**
   * Nothing is collected while `work` writes down what it needs. What takes longer holds a lease.
   */
  async pinned<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const path = this.paths.lock('content');
    // Somebody waits for a start: this way it's 10 µs, and through libuv's pool ten times as much.
    const lock = tryLockNow(path, 'shared');
    if (!lock) {
      return withLock(path, work, { mode: 'shared', ...(signal ? { signal } : {}) });
    }
    try {
      return await work();
    } finally {
      lock.release();
    }
  }

  /** Holds nothing yet. The caller releases it. */
  async lease(): Promise<Lease> {
    return new Lease(this.paths, await this.makeTemporary());
  }

  /**
   * Content that no image, container or lease needs is gone, and so is what dead processes left in `tmp/`.
   * @returns the bytes that were freed
   * @throws ERR_STORE, ABORT_ERR
   */
  async collect(options: CollectOptions = {}): Promise<number> {
    if (options.only?.size === 0) {
      return 0;
    }
    await sweepTemporary(this.paths, this.#remove);
    const graveyard = await this.makeTemporary();
    const own = await diskUsage(graveyard.path);
    try {
      await moveGarbage(this, graveyard, options);
    } catch (error) {
      await graveyard.remove();
      throw error;
    }
    return Math.max(0, (await graveyard.remove()) - own);
  }

  /** The folder, which holds a finished `diff/`, is the layer from now on, whatever was there. */
  async replaceLayer(folder: string, record: LayerRecord): Promise<void> {
    await writeFileAtomically(join(folder, 'layer.json'), JSON.stringify(record));
    await this.#replace(folder, this.paths.layer(record.diffId));
  }

  /** The same for the fix layer of a chain. */
  async replaceFix(folder: string, chainId: string): Promise<void> {
    await this.#replace(folder, this.paths.fix(chainId));
  }

  /** The same for the squashed layers of a chain. */
  async replaceSquash(folder: string, chainId: string): Promise<void> {
    await this.#replace(folder, this.paths.squash(chainId));
  }

  async #replace(folder: string, target: string): Promise<void> {
    await withLock(this.paths.lock('content'), () => replaceFolder(folder, target));
  }

  makeTemporary(): Promise<TemporaryFolder> {
    return makeTemporary(this.paths, this.#remove);
  }

  async #open(): Promise<void> {
    const { root, layers, fixes, locks, temporary } = this.paths;
    await ensureFolder(root);
    const stats = await lstat(root);
    // Images hold setuid programs and containers hold secrets: nobody else may walk in (CVE-2021-41091).
    if (!stats.isDirectory() || (stats.mode & 0o077) !== 0 || stats.uid !== process.geteuid?.()) {
      throw new DinghyError({
        code: 'ERR_STORE',
        message: `the data folder ${root} must belong to this user and be closed to others: chown it and chmod it to 0700`,
      });
    }
    await Promise.all([layers, fixes, locks, temporary, this.paths.blobFolder('sha256')].map(ensureFolder));
    await this.#writeLayoutFile();
    // Nothing waits for it but close(): it may take long, and if it fails the next process does it.
    this.#sweeping = sweepTemporary(this.paths, this.#remove).then(
      (count) => log('swept %d leftovers', count),
      (error: unknown) => log('sweeping failed: %s', error),
    );
  }

  async #writeLayoutFile(): Promise<void> {
    const text = await unlessMissing(readFile(this.paths.ociLayout, 'utf8'));
    if (text === undefined) {
      await writeWithDraft(this.paths, this.paths.ociLayout, JSON.stringify({ imageLayoutVersion: layoutVersion }));
      await this.references.update((references) => references);
      return;
    }
    let version: unknown;
    try {
      version = (JSON.parse(text) as { imageLayoutVersion?: unknown }).imageLayoutVersion;
    } catch {
      version = undefined;
    }
    if (version !== layoutVersion) {
      throw new DinghyError({
        code: 'ERR_STORE',
        message: `${this.paths.ociLayout} is damaged or of an unknown version: only ${layoutVersion} can be read`,
      });
    }
  }
}
