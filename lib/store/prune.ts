import type { Store } from './store';

/**
 * Images that nobody needs have lost their entries: those without a name, or with `all` every one. Those that a container was made of
 * (`used`, by id) stay. What they held goes with the next collection. One whose manifest is damaged tells no id, so it counts as unused:
 * its containers keep what they stand on.
 * @returns their ids, or without one the digest of the manifest
 */
export async function dropUnusedImages(
  store: Store,
  { all, used }: { all: boolean; used: ReadonlySet<string> },
): Promise<string[]> {
  const { images, damaged } = await store.images.survey();
  const unused = [...images, ...damaged].filter(
    ({ id, references }) => !(id !== undefined && used.has(id)) && (all || references.length === 0),
  );
  const dropped = new Set(unused.map(({ digest }) => digest));
  await store.references.update((references) => {
    // One that got a name meanwhile is no longer unused.
    const renamed = new Set(references.flatMap(({ name, manifest }) => (name === undefined ? [] : [manifest.digest])));
    return references.filter(({ manifest }) => !dropped.has(manifest.digest) || (!all && renamed.has(manifest.digest)));
  });
  return [...new Set(unused.map(({ id, digest }) => id ?? digest))];
}
