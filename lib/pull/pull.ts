import { isDinghyError } from '../errors';
import { lowerFolders } from '../layers/chain';
import type { SettledUnpackLimits } from '../layers/unpack-limits';
import { completeImage, contentOf, type ImageParts } from '../layers/image-parts';
import type { Descriptor } from '../oci/descriptor';
import { choosePlatform, hostPlatform, parsePlatform, type Platform } from '../oci/platform';
import { canonicalName, parseReference, type Reference } from '../oci/reference';
import { RegistryClient, type RegistryClientOptions } from '../registry/client';
import type { RegistryAuth } from '../registry/credentials';
import type { Repository } from '../registry/repository';
import { addContent, throwReason } from '../store/add-content';
import { addImages } from '../store/add-images';
import type { StoredImage } from '../store/images';
import type { Store } from '../store/store';
import { throwIfAborted } from '../util/abort';
import { bringLayers, type BlobSource } from '../layers/bring';
import { type BlobProgress, ProgressReporter } from '../util/progress';
import { resolveImage } from './resolve';

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
  const client = new RegistryClient(parts.registry);
  try {
    return await addContent(store, failing, options.signal, async ({ lease, added, signal }) => {
      const repository = await client.repository(reference, options.auth);
      const resolved = await resolveImage({
        repository,
        reference,
        blobs: store.blobs,
        platform,
        explicitPlatform: explicit !== undefined,
        signal,
      });
      await lease.hold(contentOf(resolved), signal);
      reporter.expect(uniqueBlobs(resolved));
      const source: BlobSource = { open: (blob) => openBlob(blob, repository, signal) };
      const { limits } = parts;
      const bringing = { store, source, reporter, added, signal, ...(limits ? { limits } : {}) };
      await bringLayers(resolved, failing, () => bringing);
      await completeImage(store, resolved, added, signal);
      throwIfAborted(signal);
      const { descriptor, manifest } = resolved;
      await addImages(
        store,
        [{ descriptor, config: manifest.config.digest, names: [canonicalName(reference)] }],
        signal,
      );
      const image = await store.images.read(descriptor.digest);
      reporter.whole('done');
      return image;
    });
  } finally {
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
