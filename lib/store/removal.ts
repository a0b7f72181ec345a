import { DinghyError } from '../errors';
import { canonicalName, parseReference, shownName } from '../oci/reference';
import type { UnreadableImage, StoredImage } from './images';
import type { Store } from './store';

export interface ImageRemoval {
  /** References that are gone, as Docker shows them. */
  untagged: string[];
  /** Ids of images that are gone; of one whose manifest was damaged, which then tells none, the digest of that. */
  deleted: string[];
  freedBytes: number;
}

export interface RemoveImageOptions {
  /** The canonical name by which the image was asked for; without one it is meant itself, with all its names. */
  name?: string;
  /** Containers made of it, by name and id. */
  users: readonly { id: string; name: string }[];
  force: boolean;
}

/**
 * As `docker rmi`: by one name of several only that name goes; by its last name, or by its id, the image goes with all its names and
 * what nothing else needs. What a container needs stays under `force` too, without a name. A damaged one goes with `force` alone: it may
 * be mended, and containers of it can't be told.
 * @throws ERR_STORE when it is damaged; ERR_IMAGE_IN_USE when a container was made of it, or when it is asked for by id and has names in several repositories
 */
export async function removeImage(
  store: Store,
  image: StoredImage | UnreadableImage,
  { name, users, force }: RemoveImageOptions,
): Promise<ImageRemoval> {
  const { images, damaged } = await store.images.survey();
  const sameId = new Set(
    [...images, ...damaged].filter(({ id }) => id !== undefined && id === image.id).map(({ digest }) => digest),
  );
  sameId.add(image.digest);
  const names = (await store.references.list()).flatMap((each) =>
    each.name !== undefined && sameId.has(each.manifest.digest) ? [each.name] : [],
  );
  if (name !== undefined && names.some((each) => each !== name)) {
    await store.references.remove([name]);
    return { untagged: names.includes(name) ? [shownName(name)] : [], deleted: [], freedBytes: 0 };
  }
  if ('damage' in image && !force) {
    throw new DinghyError({
      code: 'ERR_STORE',
      message: `cannot remove the image: ${image.damage.message}, or give force to remove it as it is`,
      details: { ...image.damage.details },
    });
  }
  const repositories = new Set(names.map(repositoryOf));
  if (name === undefined && repositories.size > 1 && !force) {
    throw new DinghyError({
      code: 'ERR_IMAGE_IN_USE',
      message: `the image has names in several repositories (${names.map(shownName).join(', ')}): remove each, or give force`,
      details: { references: names.map(shownName) },
    });
  }
  if (users.length > 0 && !force) {
    throw new DinghyError({
      code: 'ERR_IMAGE_IN_USE',
      message: `the image is used by ${users.map((user) => user.name).join(', ')}: remove these containers first, or give force to drop its names only`,
      details: { containers: users.map(({ id }) => id) },
    });
  }
  await store.references.removeManifests(sameId);
  return { untagged: names.map(shownName), deleted: [image.id ?? image.digest], freedBytes: await store.collect() };
}

function repositoryOf(name: string): string {
  try {
    return canonicalName({ ...parseReference(name), digest: undefined, tag: '' });
  } catch {
    return name;
  }
}
