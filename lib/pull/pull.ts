import { setMaxListeners } from 'node:events';

import { isDinghyError } from '../errors';
import { lowerFolders } from '../layers/chain';
import type { SettledUnpackLimits } from '../layers/unpack-limits';
import { completeImage, contentOf, type ImageParts, layersOf } from '../layers/image-parts';
import { createLog } from '../log';
import type { Descriptor } from '../oci/descriptor';
import { choosePlatform, hostPlatform, parsePlatform, type Platform } from '../oci/platform';
import { canonicalName, parseReference, type Reference } from '../oci/reference';
import { RegistryClient, type RegistryClientOptions } from '../registry/client';
import type { RegistryAuth } from '../registry/credentials';
import type { Repository } from '../registry/repository';
import type { StoredImage } from '../store/images';
import type { Store } from '../store/store';
import { abortError, onAbort, throwIfAborted } from '../util/abort';
import { bringLayer, type BlobSource } from '../layers/bring';
import { type BlobProgress, ProgressReporter } from '../util/progress';
import { inParallel } from '../util/in-parallel';
import { resolveImage } from './resolve';

const log = createLog('pull');

export interface PullParts {
  store: Store;
  registry?: RegistryClientOptions;
  /** Default platform; the host's when absent. */
  platform?: string;
  limits?: SettledUnpackLimits;
}

export interface PullOptions {
  platform?: string;
  auth?: RegistryAuth;
  /** Ask the registry even when the reference is here. */
  force?: boolean;
  onProgress?: (progress: BlobProgress) => void;
  signal?: AbortSignal;
}

// More don't make it faster: the network or the disk is the limit, and registries count connections.
const parallelLayers = 4;

/**
 * The image that the reference names for the platform is in the store and usable, and the reference means it.
 * When it fails or is aborted nothing of it is left, except content that another pull or image uses.
 * @throws ERR_INVALID_REFERENCE, ERR_IMAGE_NOT_FOUND, ERR_PLATFORM_NOT_FOUND, ERR_REGISTRY…, ERR_DIGEST_MISMATCH, ERR_LAYER,
 *   ERR_NO_SPACE, ERR_STORE, ABORT_ERR
 */
export async function pullImage(text: string, parts: PullParts, options: PullOptions = {}): Promise<StoredImage> {
  const { store } = parts;
  const reference = parseReference(text);
  const explicit = options.platform ?? parts.platform;
  const platform = explicit === undefined ? hostPlatform() : parsePlatform(explicit);
  throwIfAborted(options.signal);
  const failing = new AbortController();
  setMaxListeners(0, failing.signal); // one for each request and lock of each layer
  const reporter = new ProgressReporter(options.onProgress, (error) => failing.abort(error));
  reporter.whole('resolving');
  await store.open();
  if (!options.force) {
    const present = await findComplete(store, reference, platform, options.signal);
    if (present) {
      reporter.whole('exists');
      throwReason(failing.signal);
      return present;
    }
  }
  const lease = await store.lease();
  const stopListening = onAbort(options.signal, () => failing.abort(abortError(options.signal!)));
  const client = new RegistryClient(parts.registry);
  const added = new Set<string>();
  try {
    const repository = await client.repository(reference, options.auth);
    const resolved = await resolveImage({
      repository,
      reference,
      blobs: store.blobs,
      platform,
      explicitPlatform: explicit !== undefined,
      signal: failing.signal,
    });
    await lease.hold(contentOf(resolved), failing.signal);
    reporter.expect(uniqueBlobs(resolved));
    const source: BlobSource = { open: (blob, signal) => openBlob(blob, repository, signal) };
    const { limits } = parts;
    await inParallel(layersOf(resolved), parallelLayers, failing, ({ diffId, blob }) => {
      const { signal } = failing;
      return bringLayer(diffId, blob, { store, source, reporter, added, signal, ...(limits ? { limits } : {}) });
    });
    await completeImage(store, resolved, added, failing.signal);
    throwIfAborted(failing.signal);
    await store.references.set(canonicalName(reference), resolved.descriptor, failing.signal);
    const image = await store.images.read(resolved.descriptor.digest);
    reporter.whole('done');
    return image;
  } catch (error) {
    await lease.release();
    // Another pull or image may use it by now: then it stays.
    await store.collect({ only: added }).catch((reason: unknown) => log('left what it brought: %s', reason));
    throwReason(failing.signal);
    throw error;
  } finally {
    await lease.release();
    stopListening();
    client.close();
  }
}

/** The image, when it's here with all that belongs to it and fits the platform. */
async function findComplete(
  store: Store,
  reference: Reference,
  platform: Platform,
  signal: AbortSignal | undefined,
): Promise<StoredImage | undefined> {
  try {
    const image = await store.images.findByReference(reference.original);
    if (!image || choosePlatform([image.platform], platform) === -1) {
      return undefined;
    }
    for (const [index, diffId] of image.layers.entries()) {
      const blob = image.blobs[index];
      const complete = (await store.layers.get(diffId)) && blob && (await store.blobs.has(blob.digest, blob.size));
      if (!complete) {
        return undefined;
      }
    }
    // What a chain needs beside its layers is made now, and not when somebody waits for a start.
    await lowerFolders(store, image.layers, signal);
    return image;
  } catch (error) {
    if (isDinghyError(error) && error.code === 'ERR_STORE') {
      return undefined; // damaged: pulling repairs it
    }
    throw error;
  }
}

function openBlob(blob: Descriptor, repository: Repository, signal: AbortSignal): AsyncIterable<Buffer> {
  return blob.data ? inline(blob.data, blob.size) : repository.openBlob(blob, signal);
}

async function* inline(data: Buffer, size: number): AsyncGenerator<Buffer, void, undefined> {
  yield data.subarray(0, size + 1); // one more than promised is enough to be found out
}

function uniqueBlobs({ manifest }: ImageParts): Iterable<Descriptor> {
  return new Map(manifest.layers.map((layer) => [layer.digest, layer])).values();
}

/** The reason of an abort of ours is the error itself: the failure that came first, or the user's abort. */
function throwReason(signal: AbortSignal): void {
  if (signal.aborted) {
    throw signal.reason;
  }
}
