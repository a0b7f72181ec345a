import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { unpackLayer } from '../layers/unpack';
import type { SettledUnpackLimits } from '../layers/unpack-limits';
import type { Descriptor } from '../oci/descriptor';
import { parseDigest } from '../oci/digest';
import type { Repository } from '../registry/repository';
import { storeError } from '../util/files';
import { withLock } from '../store/locks';
import type { Store } from '../store/store';
import type { PullReporter } from './progress';

export interface LayerFetchOptions {
  store: Store;
  repository: Repository;
  reporter: PullReporter;
  limits?: SettledUnpackLimits;
  signal: AbortSignal;
  /** Told of what came into the store by this, so that it can be undone. */
  added: { layers: Set<string>; blobs: Set<string> };
}

/**
 * The layer and its blob are in the store. However many processes ask for it at once, one of them fetches it and the others wait.
 * What is half there (a blob whose layer was removed, a layer that came in another compression) is completed.
 */
export async function fetchLayer(diffId: string, blob: Descriptor, options: LayerFetchOptions): Promise<void> {
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
      await (unpacked ? downloadOnly(blob, options) : unpack(diffId, blob, stored, options));
      reporter.blob('done', blob, blob.size);
    },
    { signal },
  );
}

async function unpack(diffId: string, blob: Descriptor, stored: boolean, options: LayerFetchOptions): Promise<void> {
  const { store, repository, reporter, limits, signal, added } = options;
  const temporary = await store.makeTemporary();
  try {
    const draft = join(temporary.path, 'blob');
    reporter.blob(stored ? 'extracting' : 'downloading', blob, 0);
    const record = await unpackLayer({
      blob,
      diffId,
      ...(stored
        ? {}
        : { source: counted(sourceOf(blob, repository, signal), (done) => reporter.blob('downloading', blob, done)) }),
      blobFile: stored ? store.blobs.path(blob.digest) : draft,
      folder: temporary.path,
      lockFd: temporary.lock.fd,
      ...(limits ? { limits } : {}),
      // What was downloaded is told as it comes; the process counts what it has taken, which is later and in larger pieces.
      onProgress: ({ read }) => {
        if (stored || read >= blob.size) {
          reporter.blob('extracting', blob, read);
        }
      },
      signal,
    });
    if (!stored) {
      await store.blobs.adopt(draft, blob.digest);
      added.blobs.add(blob.digest);
    }
    await store.layers.commit(temporary.path, record);
    added.layers.add(diffId);
  } finally {
    await temporary.remove();
  }
}

async function downloadOnly(blob: Descriptor, options: LayerFetchOptions): Promise<void> {
  const { store, repository, reporter, signal, added } = options;
  const { algorithm, hex } = parseDigest(blob.digest);
  const temporary = await store.makeTemporary();
  try {
    const draft = join(temporary.path, 'blob');
    const file = await open(draft, 'wx', 0o600);
    const hash = createHash(algorithm);
    try {
      const tell = (done: number): void => reporter.blob('downloading', blob, done);
      for await (const chunk of counted(sourceOf(blob, repository, signal), tell)) {
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
        message: `the layer ${blob.digest} was damaged on the way or changed at the registry: its digest is another one`,
        details: { digest: blob.digest },
      });
    }
    await store.blobs.adopt(draft, blob.digest);
    added.blobs.add(blob.digest);
  } catch (error) {
    throw storeError(error, `store the blob ${blob.digest}`);
  } finally {
    await temporary.remove();
  }
}

function sourceOf(blob: Descriptor, repository: Repository, signal: AbortSignal): AsyncIterable<Buffer> {
  return blob.data ? inline(blob.data, blob.size) : repository.openBlob(blob, signal);
}

async function* counted(
  source: AsyncIterable<Buffer>,
  tell: (done: number) => void,
): AsyncGenerator<Buffer, void, undefined> {
  let done = 0;
  for await (const chunk of source) {
    done += chunk.length;
    tell(done);
    yield chunk;
  }
}

async function* inline(data: Buffer, size: number): AsyncGenerator<Buffer, void, undefined> {
  yield data.subarray(0, size + 1); // one more than promised is enough to be found out
}
