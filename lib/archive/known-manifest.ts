import { joinParts } from '../layers/image-parts';
import { type InflateOptions, withoutCompression } from '../layers/inflate';
import { hashFor } from '../oci/digest';
import { type Manifest, parseManifest } from '../oci/manifest';
import type { Lease } from '../store/lease';
import type { Store } from '../store/store';
import { DinghyError, isDinghyError } from '../errors';
import { type ArchiveFile, headOf, readArchiveFile } from './files';
import type { FoundImage } from './found-image';

/** Where what is compressed is inflated: see `withoutCompression`. */
type InflateCage = Pick<InflateOptions, 'folder' | 'lockFd'>;

/**
 * An image of a Docker archive, whose manifest was made up, under the manifest that the store has for the same config, if it has one
 * with all that belongs to it: one image stays one. Its layers are compared with what the archive has, though that's not needed any more:
 * an archive is right or refused, whatever was here before. Otherwise the image as it was found.
 * @throws ERR_DIGEST_MISMATCH, ERR_LAYER, ABORT_ERR, ERR_STORE
 */
export async function withKnownManifest(
  store: Store,
  lease: Lease,
  found: FoundImage,
  cage: InflateCage,
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
      await checkLayers(found, known, { ...cage, signal });
      const { madeUp: _, ...image } = found;
      return { ...image, parts: joinParts({ manifest: known, bytes, digest }, configBytes), here: true };
    }
  }
  return found;
}

async function checkLayers(
  { parts: { manifest, document }, layers }: FoundImage,
  known: Manifest,
  options: InflateOptions,
): Promise<void> {
  const checked = new Set<string>();
  for (const [index, { digest }] of manifest.layers.entries()) {
    const diffId = document.diffIds[index]!;
    // Told by the digest that the file got on its way from the archive: it's a plain layer, or the blob that is here.
    if (digest === diffId || digest === known.layers[index]?.digest || checked.has(`${digest} ${diffId}`)) {
      continue;
    }
    const unpacked = await digestInside(layers.get(digest)!, diffId, options);
    if (unpacked !== diffId) {
      throw new DinghyError({
        code: 'ERR_DIGEST_MISMATCH',
        message: `the layer ${digest} of the archive is not what it should be: it unpacks to ${unpacked}, not ${diffId}`,
        details: { digest, diffId },
      });
    }
    checked.add(`${digest} ${diffId}`);
  }
}

/** The digest, by the algorithm of `like`, of the file's bytes freed of their compression. */
async function digestInside(file: ArchiveFile, like: string, options: InflateOptions): Promise<string> {
  const hash = hashFor(like);
  for await (const chunk of withoutCompression(await headOf(file), readArchiveFile(file), options)) {
    hash.update(chunk);
  }
  return `${like.split(':', 1)[0]}:${hash.digest('hex')}`;
}
