import type { Descriptor } from '../oci/descriptor';
import { hashFor, parseDigest } from '../oci/digest';
import { mediaTypes } from '../oci/media-types';
import { parseReference, shownName } from '../oci/reference';
import { DinghyError } from '../errors';
import type { StoredImage } from '../store/images';
import type { Store } from '../store/store';
import { readChunks } from '../util/files';
import { blobName } from './found-image';

/** One image, and the canonical references under which it is saved. */
export interface ImageToSave {
  image: StoredImage;
  names: readonly string[];
}

/** One file of a layout, with its bytes when they are asked for. */
export interface SavedFile {
  name: string;
  size: number;
  open: () => AsyncIterable<Buffer>;
}

/**
 * The files of an OCI image layout with these images, ordered by name; with `docker` there is a manifest.json too, so that it is
 * what `docker save` writes: both at once. The same images give the same bytes.
 * @throws ERR_STORE when a blob is missing or damaged
 */
export async function layoutFiles(
  store: Store,
  images: readonly ImageToSave[],
  { docker }: { docker: boolean },
): Promise<SavedFile[]> {
  const blobs = new Map<string, Descriptor>();
  const indexed: object[] = [];
  const listed: object[] = [];
  for (const { image, names } of images) {
    const manifest = await store.images.manifest(image.digest);
    const size = (await store.blobs.size(image.digest)) ?? 0;
    const descriptor = { mediaType: manifest.mediaType, digest: image.digest, size };
    [descriptor, manifest.config, ...manifest.layers].forEach((each) => blobs.set(each.digest, each));
    indexed.push(...indexEntries({ ...descriptor, platform: image.platform }, names));
    listed.push({
      Config: blobName(image.id),
      RepoTags: names.map(shownName).filter((name) => parseReference(name).digest === undefined),
      Layers: manifest.layers.map(({ digest }) => blobName(digest)),
    });
  }
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: indexed };
  return [
    ...[...blobs.values()].map((blob) => blobFile(store, blob)),
    document('index.json', index),
    ...(docker ? [document('manifest.json', listed)] : []),
    document('oci-layout', { imageLayoutVersion: '1.0.0' }),
  ].sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** Both annotations have the whole name: containerd, Docker and Podman read the first, skopeo the second. */
function indexEntries(descriptor: Descriptor, names: readonly string[]): object[] {
  const { mediaType, digest, size, platform } = descriptor;
  const plain = { mediaType, digest, size, ...(platform ? { platform } : {}) };
  if (names.length === 0) {
    return [plain];
  }
  return names.map((name) => ({
    ...plain,
    annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name },
  }));
}

function document(name: string, value: object): SavedFile {
  const bytes = Buffer.from(JSON.stringify(value));
  return {
    name,
    size: bytes.length,
    open: async function* () {
      yield bytes;
    },
  };
}

function blobFile(store: Store, { digest, size }: Descriptor): SavedFile {
  return { name: blobName(digest), size, open: () => verified(store.blobs.path(digest), digest, size) };
}

/** An archive of damaged bytes would be found out where nobody can mend it. */
async function* verified(path: string, digest: string, size: number): AsyncGenerator<Buffer, void, undefined> {
  const hash = hashFor(digest);
  let done = 0;
  try {
    for await (const chunk of readChunks(path)) {
      hash.update(chunk);
      done += chunk.length;
      if (done > size) {
        break;
      }
      yield chunk;
    }
  } catch (error) {
    throw damaged(digest, (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'is missing' : 'can not be read', error);
  }
  if (done !== size || hash.digest('hex') !== parseDigest(digest).hex) {
    throw damaged(digest, 'is damaged');
  }
}

function damaged(digest: string, why: string, cause?: unknown): DinghyError {
  return new DinghyError({
    code: 'ERR_STORE',
    message: `cannot save the image: its blob ${digest} ${why}: runtime.verify({repair: true}) fetches it again`,
    details: { digest },
    ...(cause === undefined ? {} : { cause }),
  });
}
