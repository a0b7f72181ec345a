import { chainIds } from '../oci/chain-id';
import type { ComposedImage } from '../oci/compose';
import { digestOf } from '../oci/digest';
import type { Adding } from '../store/add-content';
import type { StoredImage } from '../store/images';
import type { Store } from '../store/store';
import { throwIfAborted } from '../util/abort';
import { lowerFolders } from './chain';

/**
 * The image is in the store under `name`, a canonical one, or without any, and can be mounted. Its layers (diff ids, bottom first) are
 * there already.
 * @throws ERR_LAYER, ERR_NO_SPACE, ERR_STORE, ABORT_ERR
 */
export async function addImage(
  store: Store,
  image: ComposedImage,
  diffIds: readonly string[],
  name: string | undefined,
  { added, lease, signal }: Adding,
): Promise<StoredImage> {
  const { descriptor } = image;
  const chain = chainIds(diffIds);
  await lease.hold([digestOf(image.config), descriptor.digest, ...chain], signal);
  for (const bytes of [image.config, image.manifest]) {
    added.add(await store.blobs.write(bytes));
  }
  chain.forEach((chainId) => added.add(chainId));
  // Not at the first start: that should find all it needs.
  await lowerFolders(store, diffIds, signal);
  throwIfAborted(signal);
  if (name !== undefined) {
    await store.references.set(name, descriptor, signal);
  } else {
    await store.references.update((all) =>
      all.some(({ manifest }) => manifest.digest === descriptor.digest) ? all : [...all, { manifest: descriptor }],
    );
  }
  return store.images.read(descriptor.digest);
}
