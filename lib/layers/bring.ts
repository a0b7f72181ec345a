import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import type { Descriptor } from '../oci/descriptor';
import { parseDigest } from '../oci/digest';
import { withLock } from '../store/locks';
import type { Store } from '../store/store';
import { readChunks, storeError } from '../util/files';
import { inParallel } from '../util/in-parallel';
import { counted, type ProgressReporter } from '../util/progress';
import { type ImageParts, layersOf } from './image-parts';
import { unpackLayer } from './unpack';
import type { SettledUnpackLimits } from './unpack-limits';

/**
 * Where a blob comes from: a stream, or a file on the store's file system that nobody else needs and that becomes the blob. Whatever
 * it gives is verified.
 */
export type BlobSource = { open: (blob: Descriptor, signal: AbortSignal) => AsyncIterable<Buffer> } | { draft: string };

export interface BringOptions {
  store: Store;
  source: BlobSource;
  reporter: ProgressReporter;
  limits?: SettledUnpackLimits;
  signal: AbortSignal;
  /** Told the digests of what came into the store by this, so that it can be undone. */
  added: Set<string>;
}

// More don't make it faster: the network or the disk is the limit, and registries count connections.
const parallelLayers = 4;

/** All layers of an image, some at a time, each as `optionsFor` its blob says. The first failure aborts the others. */
export async function bringLayers(
  parts: ImageParts,
  failing: AbortController,
  optionsFor: (blob: Descriptor) => BringOptions,
): Promise<void> {
  await inParallel(layersOf(parts), parallelLayers, failing, ({ diffId, blob }) => {
    return bringLayer(diffId, blob, optionsFor(blob));
  });
}

/**
 * The layer and its blob are in the store. However many processes ask for it at once, one of them brings it and the others wait.
 * What is half there (a blob whose layer was removed, a layer that came in another compression) is completed. The caller holds a
 * lease on both.
 */
async function bringLayer(diffId: string, blob: Descriptor, options: BringOptions): Promise<void> {
  const { store, reporter, signal } = options;
  const lock = store.paths.lock(`layer-${parseDigest(diffId).hex}`);
  await withLock(
    lock,
    async () => {
      const unpacked = (await store.layers.get(diffId)) !== undefined;
      const stored = await store.blobs.has(blob.digest, blob.size);
      if (unpacked && stored) {
        reporter.blob('exists', blob, blob.size);
        return;
      }
      await (unpacked ? bringBlob(blob, options) : unpack(diffId, blob, stored, options));
      reporter.blob('done', blob, blob.size);
    },
    { signal },
  );
}

async function unpack(diffId: string, blob: Descriptor, stored: boolean, options: BringOptions): Promise<void> {
  const { store, source, reporter, limits, signal, added } = options;
  const temporary = await store.makeTemporary();
  try {
    const streamed = !stored && 'open' in source;
    const draft = !stored && 'draft' in source ? source.draft : join(temporary.path, 'blob');
    const tell = (done: number): void => reporter.blob('downloading', blob, done);
    reporter.blob(streamed ? 'downloading' : 'extracting', blob, 0);
    const record = await unpackLayer({
      blob,
      diffId,
      ...(streamed ? { source: counted(source.open(blob, signal), tell) } : {}),
      blobFile: stored ? store.blobs.path(blob.digest) : draft,
      folder: temporary.path,
      lockFd: temporary.lock.fd,
      ...(limits ? { limits } : {}),
      // What was downloaded is told as it comes; the process counts what it has taken, which is later and in larger pieces.
      onProgress: ({ read }) => {
        if (!streamed || read >= blob.size) {
          reporter.blob('extracting', blob, read);
        }
      },
      signal,
    });
    if (!stored) {
      await store.blobs.adopt(draft, blob.digest);
      added.add(blob.digest);
    }
    await store.layers.commit(temporary.path, record);
    added.add(diffId);
  } finally {
    await temporary.remove();
  }
}

/**
 * The blob is in the store, verified; what was there under its digest is replaced.
 * @throws ERR_DIGEST_MISMATCH, ERR_NO_SPACE, ABORT_ERR, and what the source throws
 */
export async function bringBlob(
  blob: Descriptor,
  { store, source, reporter, signal, added }: BringOptions,
): Promise<void> {
  const { algorithm, hex } = parseDigest(blob.digest);
  const temporary = await store.makeTemporary();
  try {
    const draft = join(temporary.path, 'blob');
    const file = await open(draft, 'wx', 0o600);
    const hash = createHash(algorithm);
    try {
      const tell = (done: number): void => reporter.blob('downloading', blob, done);
      const chunks = 'open' in source ? source.open(blob, signal) : readChunks(source.draft);
      for await (const chunk of counted(chunks, tell)) {
        hash.update(chunk);
        await file.writeFile(chunk);
      }
    } finally {
      await file.close();
    }
    reporter.blob('verifying', blob, blob.size);
    if (hash.digest('hex') !== hex) {
      throw new DinghyError({
        code: 'ERR_DIGEST_MISMATCH',
        message: `the blob ${blob.digest} was damaged on the way or changed where it came from: its digest is another one`,
        details: { digest: blob.digest },
      });
    }
    await store.blobs.adopt(draft, blob.digest);
    added.add(blob.digest);
  } catch (error) {
    throw storeError(error, `store the blob ${blob.digest}`);
  } finally {
    await temporary.remove();
  }
}
