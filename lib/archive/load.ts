import { createReadStream, type Stats } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { bringLayers } from '../layers/bring';
import { completeImage, contentOf } from '../layers/image-parts';
import { withoutCompression } from '../layers/inflate';
import type { SettledUnpackLimits } from '../layers/unpack-limits';
import { hostPlatform, parsePlatform, type Platform } from '../oci/platform';
import { addContent } from '../store/add-content';
import { addImages, type NewImage } from '../store/add-images';
import type { StoredImage } from '../store/images';
import type { Store } from '../store/store';
import type { TemporaryFolder } from '../store/temporary';
import { abortableChunks, throwIfAborted } from '../util/abort';
import { invalidOption } from '../util/checks';
import { type BlobProgress, ProgressReporter } from '../util/progress';
import { type ArchiveFiles, FolderFiles, invalidArchive, readArchiveFile } from './files';
import { claimedName, type FoundImage } from './found-image';
import { withKnownManifest } from './known-manifest';
import { dockerTags, readDockerArchive } from './read-docker';
import { readOciLayout } from './read-oci';
import { SpooledFiles } from './spool';

export interface LoadParts {
  store: Store;
  /** Of several in an index; the host's when absent. */
  platform?: string;
  limits?: SettledUnpackLimits;
}

export interface LoadOptions {
  onProgress?: (progress: BlobProgress) => void;
  signal?: AbortSignal;
}

/**
 * All images of a Docker archive, an OCI archive (either may be compressed with gzip or zstd) or a folder with an OCI image layout are
 * in the store and usable, under the names that the archive gives them. When it fails or is aborted nothing of it is left.
 * @throws ERR_INVALID_OPTION, ERR_INVALID_IMAGE, ERR_UNSUPPORTED_IMAGE, ERR_PLATFORM_NOT_FOUND, ERR_DIGEST_MISMATCH, ERR_LAYER,
 *   ERR_NO_SPACE, ERR_STORE, ABORT_ERR, and what the stream throws
 */
export async function loadImages(
  source: string | Readable,
  { store, platform, limits }: LoadParts,
  { onProgress, signal }: LoadOptions = {},
): Promise<StoredImage[]> {
  throwIfAborted(signal);
  const wanted = platform === undefined ? hostPlatform() : parsePlatform(platform);
  const failing = new AbortController();
  const reporter = new ProgressReporter(onProgress, (error) => failing.abort(error));
  await store.open();
  const spool = await store.makeTemporary();
  try {
    return await addContent(store, failing, signal, async ({ lease, added, signal }) => {
      reporter.whole('resolving');
      const found = await findImages(await openArchive(source, spool, signal), wanted);
      await lease.hold(
        found.flatMap(({ parts }) => contentOf(parts)),
        signal,
      );
      const cage = { folder: cageOf(spool), lockFd: spool.lock.fd };
      const images: FoundImage[] = [];
      for (const each of found) {
        images.push(each.madeUp ? await withKnownManifest(store, lease, each, cage, signal) : each);
      }
      reporter.expect(images.flatMap(({ parts }) => parts.manifest.layers));
      const bringing = { store, reporter, added, signal, ...(limits ? { limits } : {}) };
      for (const { parts, layers, here } of images) {
        if (here) {
          parts.manifest.layers.forEach((blob) => reporter.blob('exists', blob, blob.size));
          await completeImage(store, parts, added, signal);
          continue;
        }
        await bringLayers(parts, failing, (blob) => {
          const file = layers.get(blob.digest)!;
          return { ...bringing, source: file.ours ? { draft: file.path } : { open: () => readArchiveFile(file) } };
        });
        await completeImage(store, parts, added, signal);
      }
      throwIfAborted(signal);
      await addImages(store, images.map(toNewImage), signal);
      const loaded = await Promise.all(images.map(({ parts }) => store.images.read(parts.descriptor.digest)));
      reporter.whole('done');
      return loaded;
    });
  } finally {
    await spool.remove();
  }
}

/** An empty folder, into which a process is shut that inflates what nobody has looked at. */
function cageOf(spool: TemporaryFolder): string {
  return join(spool.path, 'cage');
}

async function openArchive(
  source: string | Readable,
  spool: TemporaryFolder,
  signal: AbortSignal,
): Promise<ArchiveFiles> {
  let stream: AsyncIterable<Buffer>;
  if (typeof source === 'string') {
    const stats = await statSource(source);
    if (stats.isDirectory()) {
      return new FolderFiles(source);
    }
    stream = createReadStream(source, { highWaterMark: 256 * 1024, signal }) as AsyncIterable<Buffer>;
  } else {
    stream = source as AsyncIterable<Buffer>;
  }
  const [files, cage] = [join(spool.path, 'files'), cageOf(spool)];
  await Promise.all([mkdir(files), mkdir(cage)]);
  const chunks = abortableChunks(stream, signal);
  try {
    const { head, whole } = await peek(chunks);
    const plain = withoutCompression(head, whole, { folder: cage, lockFd: spool.lock.fd, signal });
    return await SpooledFiles.read(plain, files, signal);
  } finally {
    // A reader that stopped within the first bytes has not come to the rest, and would leave the file open.
    await chunks.return();
  }
}

async function statSource(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    throw invalidOption(
      'source',
      path,
      `must be a file or folder that can be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}

/** The first bytes, enough to tell a compression, and all of them, those first ones included. */
async function peek(
  chunks: AsyncGenerator<Buffer, void, undefined>,
): Promise<{ head: Buffer; whole: AsyncIterable<Buffer> }> {
  const first: Buffer[] = [];
  for (let size = 0; size < 6;) {
    const next = await chunks.next();
    if (next.done) {
      break;
    }
    first.push(next.value);
    size += next.value.length;
  }
  const head = Buffer.concat(first);
  const whole = async function* (): AsyncGenerator<Buffer, void, undefined> {
    yield head;
    yield* chunks;
  };
  return { head, whole: whole() };
}

async function findImages(files: ArchiveFiles, platform: Platform): Promise<FoundImage[]> {
  const isLayout = (await files.find('oci-layout')) && (await files.find('index.json'));
  if (!isLayout && !(await files.find('manifest.json'))) {
    const old = await files.find('repositories');
    throw invalidArchive(
      old
        ? 'it is of a Docker before 1.10, with no manifest.json: load it with Docker and save it again'
        : 'it has neither manifest.json (as docker save writes) nor oci-layout and index.json',
    );
  }
  if (!isLayout && (await files.find('version'))) {
    // containers-image-dir: its manifest.json is the image's manifest.
    throw invalidArchive(
      "it is a folder as skopeo's dir: and podman's docker-dir write: copy it to an OCI layout (skopeo copy dir:... oci:...)",
    );
  }
  const images = isLayout ? await readOciLayout(files, platform) : await readDockerArchive(files);
  if (images.length === 0) {
    throw invalidArchive('there is no image in it');
  }
  // Docker's archives are both at once; should only one of the two name an image, its name counts.
  const tags = isLayout ? await dockerTags(files) : new Map<string, string[]>();
  for (const { parts, names } of images) {
    const more = tags.get(parts.manifest.config.digest) ?? [];
    names.push(...more.map((tag) => claimedName(tag, parts.descriptor.digest)));
  }
  return images;
}

function toNewImage({ parts, names, madeUp }: FoundImage): NewImage {
  return { descriptor: parts.descriptor, config: parts.manifest.config.digest, names, madeUp: madeUp === true };
}
