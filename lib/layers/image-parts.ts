import { DinghyError } from '../errors';
import { chainIds } from '../oci/chain-id';
import type { Descriptor } from '../oci/descriptor';
import { type ImageDocument, parseImageConfig } from '../oci/image-config';
import type { Manifest } from '../oci/manifest';
import type { Store } from '../store/store';
import { lowerFolders } from './chain';

/** An image as a registry or an archive has it: everything but its layers' bytes, and verified. */
export interface ImageParts {
  manifest: Manifest;
  manifestBytes: Buffer;
  descriptor: Descriptor;
  configBytes: Buffer;
  document: ImageDocument;
}

/** Joins manifest and config. @throws ERR_INVALID_IMAGE when they don't fit each other, ERR_INVALID_DIGEST */
export function joinParts(
  { manifest, bytes, digest }: { manifest: Manifest; bytes: Buffer; digest: string },
  configBytes: Buffer,
): ImageParts {
  const document = parseImageConfig(configBytes);
  if (document.diffIds.length !== manifest.layers.length) {
    throw new DinghyError({
      code: 'ERR_INVALID_IMAGE',
      message: `bad image: its manifest has ${manifest.layers.length} layers and its config ${document.diffIds.length}`,
    });
  }
  const { os, architecture, variant } = document.platform;
  const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  const descriptor: Descriptor = { mediaType: manifest.mediaType, digest, size: bytes.length, platform };
  return { manifest, manifestBytes: bytes, descriptor, configBytes, document };
}

/** The digests of all that the image is or unpacks to: for a lease. */
export function contentOf({ descriptor, manifest, document }: ImageParts): string[] {
  const blobs = [descriptor, manifest.config, ...manifest.layers].map(({ digest }) => digest);
  return [...blobs, ...document.diffIds, ...chainIds(document.diffIds)];
}

/** Each layer once. A manifest may name one diff id in two compressions: then both blobs belong to the image. */
export function layersOf({ document, manifest }: ImageParts): { diffId: string; blob: Descriptor }[] {
  const found = new Map<string, { diffId: string; blob: Descriptor }>();
  document.diffIds.forEach((diffId, index) => {
    const blob = manifest.layers[index]!;
    found.set(`${diffId} ${blob.digest}`, { diffId, blob });
  });
  return [...found.values()];
}

/**
 * The image, whose layers are here, can be mounted and read; what it is called is for the caller to say.
 * `added` is told what came by this.
 * @throws ERR_STORE, ERR_LAYER, ERR_NO_SPACE, ABORT_ERR
 */
export async function completeImage(
  store: Store,
  { descriptor, manifest, manifestBytes, configBytes, document }: ImageParts,
  added: Set<string>,
  signal: AbortSignal,
): Promise<void> {
  for (const [digest, bytes] of [
    [manifest.config.digest, configBytes],
    [descriptor.digest, manifestBytes],
  ] as const) {
    added.add(digest);
    await store.blobs.write(bytes, digest);
  }
  chainIds(document.diffIds).forEach((chainId) => added.add(chainId));
  // Not at the first start: that should find all it needs.
  await lowerFolders(store, document.diffIds, signal);
}
