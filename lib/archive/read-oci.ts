import { DinghyError } from '../errors';
import { joinParts } from '../layers/image-parts';
import type { Descriptor } from '../oci/descriptor';
import { JsonReader } from '../oci/json';
import { checkRunnable, type Index, isAttestation, parseManifest } from '../oci/manifest';
import { isIndexType, isManifestType } from '../oci/media-types';
import { choosePlatform, formatPlatform, type Platform } from '../oci/platform';
import { type ArchiveFile, type ArchiveFiles, invalidArchive, readDocument } from './files';
import { blobName, claimedName, type FoundImage, readBlob } from './found-image';

const maxIndexBytes = 4 * 1024 * 1024;
const maxIndexDepth = 3;
const containerdName = 'io.containerd.image.name';
const ociName = 'org.opencontainers.image.ref.name';

/**
 * The images of an OCI image layout (image-spec, image-layout.md): each manifest that index.json names, and of each index there
 * the one for the platform, of those whose blobs are in the layout.
 * @throws ERR_INVALID_IMAGE, ERR_UNSUPPORTED_IMAGE, ERR_DIGEST_MISMATCH, ERR_PLATFORM_NOT_FOUND
 */
export async function readOciLayout(files: ArchiveFiles, platform: Platform): Promise<FoundImage[]> {
  await checkVersion(files);
  const index = parseManifest(await readDocument(files, 'index.json', maxIndexBytes));
  if (index.kind !== 'index') {
    throw invalidArchive('its index.json is no index');
  }
  const found = new Map<string, FoundImage>();
  for (const descriptor of index.manifests) {
    if (isAttestation(descriptor) || !(isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType))) {
      continue;
    }
    const manifest = await resolve(files, descriptor, platform);
    const known = found.get(manifest.digest);
    const image = known ?? (await readImage(files, manifest));
    image.names.push(...nameOf(descriptor, manifest.digest));
    found.set(manifest.digest, image);
  }
  return [...found.values()];
}

async function checkVersion(files: ArchiveFiles): Promise<void> {
  const reader = new JsonReader('bad image archive: oci-layout', 'ERR_INVALID_IMAGE');
  const { imageLayoutVersion } = reader.parse(await readDocument(files, 'oci-layout', 4096), 4096);
  if (imageLayoutVersion !== '1.0.0') {
    throw invalidArchive(`its layout has the version ${JSON.stringify(imageLayoutVersion)}, and only 1.0.0 is known`);
  }
}

async function resolve(
  files: ArchiveFiles,
  descriptor: Descriptor,
  platform: Platform,
  depth = 0,
): Promise<Descriptor> {
  if (!isIndexType(descriptor.mediaType)) {
    return descriptor;
  }
  const index = parseManifest(await readBlob(files, descriptor), descriptor.mediaType);
  if (index.kind !== 'index' || depth >= maxIndexDepth) {
    throw invalidArchive(`its index ${descriptor.digest} is none, or nested more than ${maxIndexDepth} deep`);
  }
  return resolve(files, await choose(files, index, platform), platform, depth + 1);
}

/** Who saved one platform of several kept the index, and left out the others' blobs. */
async function choose(files: ArchiveFiles, index: Index, platform: Platform): Promise<Descriptor> {
  const present: Descriptor[] = [];
  for (const each of index.manifests) {
    if (!isAttestation(each) && (await files.find(blobName(each.digest)))) {
      present.push(each);
    }
  }
  const best = choosePlatform(
    present.map((each) => each.platform),
    platform,
  );
  const chosen = present[best] ?? (present.length === 1 ? present[0] : undefined);
  if (!chosen) {
    const offered = present.flatMap((each) => (each.platform ? [formatPlatform(each.platform)] : []));
    throw new DinghyError({
      code: 'ERR_PLATFORM_NOT_FOUND',
      message: `the archive has no image for ${formatPlatform(platform)}: it has ${offered.slice(0, 30).join(', ') || 'none'}`,
      details: { wanted: formatPlatform(platform), offered },
    });
  }
  return chosen;
}

async function readImage(files: ArchiveFiles, descriptor: Descriptor): Promise<FoundImage> {
  const bytes = await readBlob(files, descriptor);
  const manifest = parseManifest(bytes, descriptor.mediaType);
  if (manifest.kind !== 'manifest') {
    throw invalidArchive(`its manifest ${descriptor.digest} is an index`);
  }
  checkRunnable(manifest);
  const parts = joinParts({ manifest, bytes, digest: descriptor.digest }, await readBlob(files, manifest.config));
  const layers = new Map<string, ArchiveFile>();
  for (const { digest, size } of manifest.layers) {
    const file = await files.find(blobName(digest));
    if (file?.size !== size) {
      throw invalidArchive(`its layer ${digest} ${file ? `has ${file.size} bytes, not ${size}` : 'is missing'}`);
    }
    // Known without reading it, and told here although the layer itself may be in the store already.
    if (file.digest !== undefined && digest.startsWith('sha256:') && file.digest !== digest) {
      throw new DinghyError({
        code: 'ERR_DIGEST_MISMATCH',
        message: `the layer ${digest} of the archive is damaged: its digest is ${file.digest}`,
        details: { digest },
      });
    }
    layers.set(digest, file);
  }
  return { parts, layers, names: [] };
}

/**
 * containerd and Docker write the whole name apart, and beside it the tag alone; others write what they were given. A tag alone names
 * no repository, so it is no name.
 */
function nameOf({ annotations = {} }: Descriptor, digest: string): string[] {
  const whole = annotations[containerdName];
  if (whole !== undefined) {
    return [claimedName(whole, digest)];
  }
  const text = annotations[ociName];
  return text !== undefined && /[:/@]/.test(text) ? [claimedName(text, digest)] : [];
}
