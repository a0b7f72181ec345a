import type { Store } from './store';

/**
 * Images that nobody needs have lost their entries: those without a name, or with `all` every one. Those that a container was made of
 * (`used`, by id) stay. What they held goes with the next collection.
 * @returns their ids
 */
export async function dropUnusedImages(
  store: Store,
  { all, used }: { all: boolean; used: ReadonlySet<string> },
): Promise<string[]> {
  const images = await store.images.list();
  const unused = images.filter(({ id, references }) => !used.has(id) && (all || references.length === 0));
  const dropped = new Set(unused.map(({ digest }) => digest));
  await store.references.update((references) => {
    // One that got a name meanwhile is no longer unused.
    const renamed = new Set(references.flatMap(({ name, manifest }) => (name === undefined ? [] : [manifest.digest])));
    return references.filter(({ manifest }) => !dropped.has(manifest.digest) || (!all && renamed.has(manifest.digest)));
  });
  return [...new Set(unused.map(({ id }) => id))];
}
