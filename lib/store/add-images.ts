import type { Descriptor } from '../oci/descriptor';
import { named, type StoredReference } from './references';
import type { Store } from './store';

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
 * it. Where an image had a made-up manifest so far, its names mean the one that came now, as in Docker one image has all its names; what
 * only the made-up one needed goes with the next collection.
 * @throws ERR_STORE, ERR_NO_SPACE, ABORT_ERR
 */
export async function addImages(store: Store, images: readonly NewImage[], signal?: AbortSignal): Promise<void> {
  await store.references.update((references) => images.reduce(withImage, references), signal);
}

function withImage(
  references: StoredReference[],
  { descriptor, config, names, madeUp = false }: NewImage,
): StoredReference[] {
  const listed = references.find(({ manifest }) => manifest.digest === descriptor.digest)?.manifest;
  const manifest = listed ?? (madeUp ? { ...descriptor, annotations: { [madeUpFor]: config } } : descriptor);
  const replaced = references.filter((each) => {
    return each.manifest.annotations?.[madeUpFor] === config && each.manifest.digest !== descriptor.digest;
  });
  const all = [...replaced.flatMap(({ name }) => name ?? []), ...names];
  const rest = references.filter((each) => !replaced.includes(each));
  if (all.length === 0) {
    return listed ? rest : [...rest, { manifest }];
  }
  return [...new Set(all)].reduce((result, name) => named(result, name, manifest), rest);
}
