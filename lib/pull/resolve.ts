import { DinghyError } from '../errors';
import { type ImageParts, joinParts } from '../layers/image-parts';
import type { Descriptor } from '../oci/descriptor';
import type { ImageDocument } from '../oci/image-config';
import { checkRunnable, type Manifest, parseManifest, selectManifest } from '../oci/manifest';
import { choosePlatform, formatPlatform, type Platform } from '../oci/platform';
import type { Reference } from '../oci/reference';
import type { Repository } from '../registry/repository';
import type { BlobStore } from '../store/blobs';

export interface ResolveOptions {
  repository: Repository;
  reference: Reference;
  blobs: BlobStore;
  platform: Platform;
  /** The user named the platform, so an image for another one is an error. */
  explicitPlatform: boolean;
  signal?: AbortSignal;
}

// An index may hold indexes (image-spec, image-index.md); nobody nests them deeper.
const maxIndexDepth = 3;

/**
 * Reference → manifest for the platform → config, each verified, the two checked against each other. What the store has isn't
 * fetched again; a tag is always asked for.
 * @throws ERR_IMAGE_NOT_FOUND, ERR_PLATFORM_NOT_FOUND, ERR_UNSUPPORTED_IMAGE, ERR_INVALID_IMAGE, ERR_DIGEST_MISMATCH and what
 *   registries answer
 */
export async function resolveImage(options: ResolveOptions): Promise<ImageParts> {
  const found = await resolveManifest(options);
  checkRunnable(found.manifest);
  const parts = joinParts(found, await readConfig(options, found.manifest.config));
  checkPlatform(parts.document, options);
  return parts;
}

async function resolveManifest(
  options: ResolveOptions,
): Promise<{ manifest: Manifest; bytes: Buffer; digest: string }> {
  const { reference, platform, signal } = options;
  let wanted = reference.digest ?? reference.tag!;
  let size: number | undefined;
  for (let depth = 0; depth <= maxIndexDepth; depth++) {
    const { bytes, digest, document } = await readManifest(options, wanted, size, signal);
    if (document.kind === 'manifest') {
      return { manifest: document, bytes, digest };
    }
    ({ digest: wanted, size } = selectManifest(document, platform));
  }
  throw new DinghyError({
    code: 'ERR_INVALID_IMAGE',
    message: `bad image ${reference.original}: its indexes are nested more than ${maxIndexDepth} deep`,
  });
}

async function readManifest(
  { blobs, repository }: ResolveOptions,
  wanted: string,
  size: number | undefined,
  signal: AbortSignal | undefined,
): ReturnType<Repository['getManifest']> {
  if (wanted.includes(':') && (await blobs.size(wanted)) !== undefined) {
    const bytes = await blobs.read(wanted).catch(() => undefined); // a damaged one is fetched again
    if (bytes && (size === undefined || size === bytes.length)) {
      return { bytes, digest: wanted, document: parseManifest(bytes) };
    }
  }
  return repository.getManifest(wanted, signal, size);
}

async function readConfig({ blobs, repository, signal }: ResolveOptions, config: Descriptor): Promise<Buffer> {
  if (await blobs.has(config.digest, config.size)) {
    const bytes = await blobs.read(config.digest).catch(() => undefined);
    if (bytes) {
      return bytes;
    }
  }
  return repository.getSmallBlob(config, signal);
}

function checkPlatform(document: ImageDocument, { platform, explicitPlatform, reference }: ResolveOptions): void {
  const has = document.platform;
  const fits = choosePlatform([has], platform) !== -1;
  // Images of one platform are often labelled carelessly, so that Docker runs them too; an explicit wish isn't overruled.
  if (has.os !== platform.os || (explicitPlatform && !fits)) {
    throw new DinghyError({
      code: 'ERR_PLATFORM_NOT_FOUND',
      message: `${reference.original} is for ${formatPlatform(has)}, and there is none for ${formatPlatform(platform)}`,
      details: { wanted: formatPlatform(platform), offered: [formatPlatform(has)] },
    });
  }
}
