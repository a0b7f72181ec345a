import { joinParts } from '../layers/image-parts';
import { digestOf } from '../oci/digest';
import { parseManifest } from '../oci/manifest';
import type { Lease } from '../store/lease';
import type { Store } from '../store/store';
import { isDinghyError } from '../errors';
import type { FoundImage } from './found-image';

/**
 * An image of a Docker archive, whose manifest was made up, under the manifest that the store has for the same config, if it has one
 * with all that belongs to it: one image stays one. Otherwise the image as it was found.
 * @throws ABORT_ERR, ERR_STORE
 */
export async function withKnownManifest(
  store: Store,
  lease: Lease,
  found: FoundImage,
  signal: AbortSignal,
): Promise<FoundImage> {
  const { configBytes, manifest, document } = found.parts;
  const candidates = (await store.images.list()).filter(({ id }) => id === manifest.config.digest);
  for (const { digest, blobs } of candidates) {
    await lease.hold([digest, ...blobs.map((each) => each.digest)], signal);
    // Looked at after it is held, since it may have been removed before.
    const here = await Promise.all([
      ...blobs.map((blob) => store.blobs.has(blob.digest, blob.size)),
      ...document.diffIds.map(async (diffId) => (await store.layers.get(diffId)) !== undefined),
    ]);
    const bytes = await store.blobs.read(digest).catch((error: unknown) => {
      if (isDinghyError(error) && error.code === 'ERR_STORE') {
        return undefined;
      }
      throw error;
    });
    const known = bytes && here.every(Boolean) ? parseManifest(bytes) : undefined;
    if (bytes && known?.kind === 'manifest') {
      const parts = joinParts({ manifest: known, bytes, digest: digestOf(bytes) }, configBytes);
      return { ...found, parts, here: true };
    }
  }
  return found;
}
