import { type Dirent } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { isDinghyError } from '../errors';
import { chainIds } from '../oci/chain-id';
import { digestOfName } from '../oci/digest';
import { parseImageConfig } from '../oci/image-config';
import type { RuntimeSpec } from '../oci/spec-types';
import { unlessMissing } from '../util/files';
import type { BlobStore } from './blobs';
import type { ImageStore } from './images';
import type { LayerStore } from './layers';
import { readLease } from './lease';
import { isLocked } from './locks';
import type { StorePaths } from './paths';
import type { ReferenceStore } from './references';

export interface Marks {
  /** Digests of the blobs that somebody needs. */
  readonly blobs: ReadonlySet<string>;
  /** The same of layers (diff ids) and fix layers (chain ids). Apart, for a layer that came uncompressed has its blob's digest. */
  readonly folders: ReadonlySet<string>;
  /** Of these, what running containers have mounted. */
  readonly mounted: ReadonlySet<string>;
  /** False when a manifest or config can't be read: what else it names is not known, and may be anything. */
  readonly complete: boolean;
}

export interface MarkedStores {
  readonly paths: StorePaths;
  readonly blobs: BlobStore;
  readonly layers: LayerStore;
  readonly references: ReferenceStore;
  readonly images: ImageStore;
}

/**
 * What the images, the containers and what is under way in any process need. Meant to be called while nobody can add to it
 * (`Store.collect`).
 * @throws ERR_STORE when index.json is damaged
 */
export async function readMarks(stores: MarkedStores): Promise<Marks> {
  const marks = { blobs: new Set<string>(), folders: new Set<string>(), mounted: new Set<string>(), complete: true };
  for (const digest of new Set((await stores.references.list()).map(({ manifest }) => manifest.digest))) {
    marks.complete = (await markImage(stores, digest, marks)) && marks.complete;
  }
  for (const id of await names(stores.paths.containers, /^[0-9a-f]{64}$/)) {
    const folder = stores.paths.container(id);
    const lower = await markContainer(stores, folder, marks);
    if (isLocked(join(folder, 'lock'))) {
      lower.forEach((digest) => marks.mounted.add(digest));
    }
  }
  // A lease whose process has died is as good as held until somebody sweeps it: that errs on the side of keeping.
  for (const name of await names(stores.paths.temporary, /^[0-9a-f]{24}$/)) {
    for (const digest of await readLease(join(stores.paths.temporary, name))) {
      marks.blobs.add(digest);
      marks.folders.add(digest);
    }
  }
  return marks;
}

interface Needed {
  blobs: Set<string>;
  folders: Set<string>;
}

/** False when the manifest or the config can't be read. */
async function markImage({ blobs, images }: MarkedStores, digest: string, needed: Needed): Promise<boolean> {
  needed.blobs.add(digest);
  try {
    const manifest = await images.manifest(digest);
    [manifest.config, ...manifest.layers].forEach((each) => needed.blobs.add(each.digest));
    const { diffIds } = parseImageConfig(await blobs.read(manifest.config.digest));
    [...diffIds, ...chainIds(diffIds)].forEach((each) => needed.folders.add(each));
    return true;
  } catch (error) {
    if (isDinghyError(error)) {
      return false;
    }
    throw error;
  }
}

/**
 * Its layers, its fix layers, and what they can be made of again: their blobs and the image's config.
 * @returns the layers and fix layers
 */
async function markContainer({ layers }: MarkedStores, folder: string, needed: Needed): Promise<string[]> {
  const [spec, record] = await Promise.all([
    readJson<RuntimeSpec>(join(folder, 'config.json')),
    readJson<{ imageId?: unknown }>(join(folder, 'container.json')),
  ]);
  if (typeof record?.imageId === 'string') {
    needed.blobs.add(record.imageId);
  }
  const lower = (spec?.dinghy?.rootfs.lower ?? []).flatMap((path) => digestOfFolder(path) ?? []);
  for (const digest of lower) {
    needed.folders.add(digest);
    const layer = await layers.get(digest).catch(() => undefined);
    if (layer) {
      needed.blobs.add(layer.blob.digest);
    }
  }
  return lower;
}

/** `…/layers/<hex>/diff`, `…/fixes/<hex>/diff` and `…/fixes/<hex>/squash` */
function digestOfFolder(path: string): string | undefined {
  return digestOfName(/\/(?:layers|fixes)\/([0-9a-f]+)\/(?:diff|squash)$/.exec(path)?.[1] ?? '');
}

async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await unlessMissing(readFile(path, 'utf8'));
  try {
    return text === undefined ? undefined : (JSON.parse(text) as T);
  } catch {
    return undefined; // torn: nothing was started with it
  }
}

async function names(folder: string, form: RegExp): Promise<string[]> {
  const entries = (await unlessMissing<Dirent[]>(readdir(folder, { withFileTypes: true }))) ?? [];
  return entries.filter((entry) => entry.isDirectory() && form.test(entry.name)).map(({ name }) => name);
}
