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
  /** Of every blob, layer (diff id) and fix layer (chain id) that somebody needs. */
  readonly digests: ReadonlySet<string>;
  /** The same of the layers that running containers have mounted. */
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
  const digests = new Set<string>();
  const mounted = new Set<string>();
  let complete = true;
  for (const digest of new Set((await stores.references.list()).map(({ manifest }) => manifest.digest))) {
    complete = (await markImage(stores, digest, digests)) && complete;
  }
  for (const id of await names(stores.paths.containers, /^[0-9a-f]{64}$/)) {
    const folder = stores.paths.container(id);
    const lower = await markContainer(stores, folder, digests);
    if (isLocked(join(folder, 'lock'))) {
      lower.forEach((digest) => mounted.add(digest));
    }
  }
  // A lease whose process has died is as good as held until somebody sweeps it: that errs on the side of keeping.
  for (const name of await names(stores.paths.temporary, /^[0-9a-f]{24}$/)) {
    (await readLease(join(stores.paths.temporary, name))).forEach((digest) => digests.add(digest));
  }
  return { digests, mounted, complete };
}

/** False when the manifest or the config can't be read. */
async function markImage({ blobs, images }: MarkedStores, digest: string, digests: Set<string>): Promise<boolean> {
  digests.add(digest);
  try {
    const manifest = await images.manifest(digest);
    [manifest.config, ...manifest.layers].forEach((each) => digests.add(each.digest));
    const { diffIds } = parseImageConfig(await blobs.read(manifest.config.digest));
    [...diffIds, ...chainIds(diffIds)].forEach((each) => digests.add(each));
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
async function markContainer({ layers }: MarkedStores, folder: string, digests: Set<string>): Promise<string[]> {
  const [spec, record] = await Promise.all([
    readJson<RuntimeSpec>(join(folder, 'config.json')),
    readJson<{ imageId?: unknown }>(join(folder, 'container.json')),
  ]);
  if (typeof record?.imageId === 'string') {
    digests.add(record.imageId);
  }
  const lower = (spec?.dinghy?.rootfs.lower ?? []).flatMap((path) => digestOfFolder(path) ?? []);
  for (const digest of lower) {
    digests.add(digest);
    const layer = await layers.get(digest).catch(() => undefined);
    if (layer) {
      digests.add(layer.blob.digest);
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
