import { createLog } from '../log';
import type { Descriptor } from '../oci/descriptor';
import { isDinghyError } from '../errors';
import { named, type StoredReference } from './references';
import type { Store } from './store';

const log = createLog('store');

/** In index.json, at a manifest that was made for an image which came without one: the digest of its config. */
const madeUpFor = 'dinghy.made-up-for';

export interface NewImage {
  /** Of its manifest, which is here with all that it names. */
  descriptor: Descriptor;
  /** Digest of its config, which is its id. */
  config: string;
  /** Canonical references; without any it stays what it's called here, or nameless. */
  names: readonly string[];
  /** It came without a manifest, and this one was made for it. */
  madeUp?: boolean;
}

/**
 * All of them are images of this store, under these names: a name that meant another image means the new one, and that one stays without
 * it. Where an image had a made-up manifest so far, its names mean the one that came now, as in Docker one image has all its names; and
 * what only the made-up one needed is gone.
 * @throws ERR_STORE, ERR_NO_SPACE, ABORT_ERR
 */
export async function addImages(store: Store, images: readonly NewImage[], signal?: AbortSignal): Promise<void> {
  const replaced = new Set<string>();
  await store.references.update(
    (references) => images.reduce((all, image) => withImage(all, image, replaced), references),
    signal,
  );
  if (replaced.size > 0) {
    await removeReplaced(store, replaced);
  }
}

function withImage(references: StoredReference[], image: NewImage, replaced: Set<string>): StoredReference[] {
  const { descriptor, config, names, madeUp = false } = image;
  const listed = references.find(({ manifest }) => manifest.digest === descriptor.digest)?.manifest;
  const manifest = listed ?? (madeUp ? { ...descriptor, annotations: { [madeUpFor]: config } } : descriptor);
  const old = references.filter((each) => each.manifest.annotations?.[madeUpFor] === config);
  const others = old.filter((each) => each.manifest.digest !== descriptor.digest);
  others.forEach((each) => replaced.add(each.manifest.digest));
  const all = [...others.flatMap(({ name }) => name ?? []), ...names];
  const rest = references.filter((each) => !others.includes(each));
  if (all.length === 0) {
    return listed ? rest : [...rest, { manifest }];
  }
  return [...new Set(all)].reduce((result, name) => named(result, name, manifest), rest);
}

/** The image is here already, so a failure of this is no failure of that: the next collection takes what is left. */
async function removeReplaced(store: Store, manifests: ReadonlySet<string>): Promise<void> {
  try {
    const only = new Set(manifests);
    for (const digest of manifests) {
      (await store.images.manifest(digest)).layers.forEach((blob) => only.add(blob.digest));
    }
    await store.collect({ only });
  } catch (error) {
    if (!isDinghyError(error)) {
      throw error;
    }
    log('left what %o needed: %s', [...manifests], error.message);
  }
}
