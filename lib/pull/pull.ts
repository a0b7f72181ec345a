import { setMaxListeners } from 'node:events';

import { isDinghyError } from '../errors';
import { lowerFolders } from '../layers/chain';
import type { SettledUnpackLimits } from '../layers/unpack-limits';
import type { Descriptor } from '../oci/descriptor';
import { choosePlatform, hostPlatform, parsePlatform, type Platform } from '../oci/platform';
import { canonicalName, parseReference, type Reference } from '../oci/reference';
import { RegistryClient, type RegistryClientOptions } from '../registry/client';
import type { RegistryAuth } from '../registry/credentials';
import type { StoredImage } from '../store/images';
import type { Store } from '../store/store';
import { abortError, onAbort, throwIfAborted } from '../util/abort';
import { fetchLayer } from './layer-fetch';
import { type PullProgress, PullReporter } from './progress';
import { resolveImage, type ResolvedImage } from './resolve';
import { undoPull } from './undo';

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
  onProgress?: (progress: PullProgress) => void;
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
  const reporter = new PullReporter(options.onProgress, (error) => failing.abort(error));
  reporter.whole('resolving');
  await store.open();
  if (!options.force) {
    const present = await findComplete(store, reference, platform);
    if (present) {
      reporter.whole('exists');
      throwReason(failing.signal);
      return present;
    }
  }
  const stopListening = onAbort(options.signal, () => failing.abort(abortError(options.signal!)));
  const client = new RegistryClient(parts.registry);
  const added = { layers: new Set<string>(), blobs: new Set<string>() };
  try {
    const image = await pinned(store, failing.signal, async () => {
      const repository = await client.repository(reference, options.auth);
      const resolved = await resolveImage({
        repository,
        reference,
        blobs: store.blobs,
        platform,
        explicitPlatform: explicit !== undefined,
        signal: failing.signal,
      });
      reporter.expect(uniqueBlobs(resolved));
      await inParallel(layersOf(resolved), failing, ({ diffId, blob }) => {
        return fetchLayer(diffId, blob, {
          store,
          repository,
          reporter,
          added,
          signal: failing.signal,
          ...(parts.limits ? { limits: parts.limits } : {}),
        });
      });
      return publish(parts, reference, resolved, added, failing.signal);
    });
    reporter.whole('done');
    return image;
  } catch (error) {
    await undoPull(store, added);
    throwReason(failing.signal);
    throw error;
  } finally {
    stopListening();
    client.close();
  }
}

/** The image, when it's here with all that belongs to it and fits the platform. */
async function findComplete(store: Store, reference: Reference, platform: Platform): Promise<StoredImage | undefined> {
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
    return image;
  } catch (error) {
    if (isDinghyError(error) && error.code === 'ERR_STORE') {
      return undefined; // damaged: pulling repairs it
    }
    throw error;
  }
}

async function pinned<T>(store: Store, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const pin = await store.pin('shared', signal);
  try {
    return await work();
  } finally {
    await pin.release();
  }
}

async function publish(
  parts: PullParts,
  reference: Reference,
  resolved: ResolvedImage,
  added: { blobs: Set<string> },
  signal: AbortSignal,
): Promise<StoredImage> {
  const { store } = parts;
  const { descriptor, manifest, manifestBytes, configBytes } = resolved;
  for (const [digest, bytes] of [
    [manifest.config.digest, configBytes],
    [descriptor.digest, manifestBytes],
  ] as const) {
    if ((await store.blobs.size(digest)) === undefined) {
      added.blobs.add(digest);
    }
    await store.blobs.write(bytes, digest);
  }
  // Not at the first start: that should find all it needs.
  await lowerFolders(store, resolved.document.diffIds, signal);
  throwIfAborted(signal);
  await store.references.set(canonicalName(reference), descriptor, signal);
  return store.images.read(descriptor.digest);
}

/** Each layer once. A manifest may name one diff id in two compressions: then both blobs belong to the image. */
function layersOf({ document, manifest }: ResolvedImage): { diffId: string; blob: Descriptor }[] {
  const found = new Map<string, { diffId: string; blob: Descriptor }>();
  document.diffIds.forEach((diffId, index) => {
    const blob = manifest.layers[index]!;
    found.set(`${diffId} ${blob.digest}`, { diffId, blob });
  });
  return [...found.values()];
}

function uniqueBlobs({ manifest }: ResolvedImage): Iterable<Descriptor> {
  return new Map(manifest.layers.map((layer) => [layer.digest, layer])).values();
}

/** Runs the work of all items, a few at a time. The first failure aborts the others; it's thrown when all have ended. */
async function inParallel<T>(
  items: readonly T[],
  failing: AbortController,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      throwIfAborted(failing.signal);
      try {
        await work(item);
      } catch (error) {
        failing.abort(error); // the first reason stays
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: parallelLayers }, worker));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) {
    throw failed.reason;
  }
}

/** The reason of an abort of ours is the error itself: the failure that came first, or the user's abort. */
function throwReason(signal: AbortSignal): void {
  if (signal.aborted) {
    throw signal.reason;
  }
}
