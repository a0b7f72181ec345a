import type { ImageParts } from '../layers/image-parts';
import { parseDigest } from '../oci/digest';
import { maxManifestBytes } from '../oci/manifest';
import { canonicalName, parseReference } from '../oci/reference';
import { verifyBytes } from '../registry/verify';
import { type ArchiveFile, type ArchiveFiles, invalidArchive, readDocument } from './files';

/** An image of an archive: complete, but its layers aren't verified yet. */
export interface FoundImage {
  parts: ImageParts;
  /** Its layers' blobs by digest. */
  layers: Map<string, ArchiveFile>;
  /** Canonical references. */
  names: string[];
  /** Its manifest is none of the archive's, which knows none, nor one that was here. */
  madeUp?: true;
  /** All its layers and their blobs are in the store, and held. */
  here?: true;
}

export function blobName(digest: string): string {
  const { algorithm, hex } = parseDigest(digest);
  return `blobs/${algorithm}/${hex}`;
}

/** A manifest, index or config of a layout, verified. @throws ERR_INVALID_IMAGE, ERR_DIGEST_MISMATCH */
export async function readBlob(files: ArchiveFiles, blob: { digest: string; size: number }): Promise<Buffer> {
  const bytes = await readDocument(files, blobName(blob.digest), maxManifestBytes);
  verifyBytes(bytes, blob, 'blob of the archive');
  return bytes;
}

/**
 * The reference as the store keeps it. One with a digest is that of this manifest or of no use.
 * @throws ERR_INVALID_IMAGE
 */
export function claimedName(text: string, manifestDigest: string): string {
  let name: string;
  let digest: string | undefined;
  try {
    const reference = parseReference(text);
    ({ digest } = reference);
    name = canonicalName(reference);
  } catch (error) {
    throw invalidArchive(`it calls an image ${JSON.stringify(text.slice(0, 300))}`, error);
  }
  if (digest !== undefined && digest !== manifestDigest) {
    throw invalidArchive(`it calls ${text} what has the digest ${manifestDigest}`);
  }
  return name;
}
