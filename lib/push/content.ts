import { DinghyError } from '../errors';
import { type Manifest, parseManifest } from '../oci/manifest';
import type { Store } from '../store/store';

/** What a registry must have for an image. */
export interface ImageContent {
  manifest: { bytes: Buffer; digest: string; document: Manifest };
  /** Config and layers, each once. */
  blobs: { digest: string; size: number }[];
}

/**
 * The content of the image with this manifest: byte for byte what came with it, for its digest is its name.
 * @throws ERR_STORE when the manifest is missing or damaged, ERR_IMAGE_NOT_FOUND when no image has it any more
 */
export async function readContent(store: Store, digest: string): Promise<ImageContent> {
  const listed = (await store.references.list()).find(({ manifest }) => manifest.digest === digest);
  if (!listed) {
    throw new DinghyError({
      code: 'ERR_IMAGE_NOT_FOUND',
      message: `the image with the manifest ${digest} is not here any more: pull it again`,
    });
  }
  const bytes = await store.blobs.read(digest);
  // The type that the manifest came as, where it doesn't name it itself.
  const document = parseManifest(bytes, listed.manifest.mediaType);
  if (document.kind !== 'manifest') {
    throw new DinghyError({
      code: 'ERR_STORE',
      message: `the blob ${digest} is an index, not the manifest of one image`,
    });
  }
  const { config, layers } = document;
  const blobs = new Map([config, ...layers].map((blob) => [blob.digest, { digest: blob.digest, size: blob.size }]));
  return { manifest: { bytes, digest, document }, blobs: [...blobs.values()] };
}
