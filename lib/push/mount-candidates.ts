import { parseReference, type Reference } from '../oci/reference';
import type { Store } from '../store/store';

/**
 * Tells for a blob which other repositories of the registry are likely to have it: those under whose name an image here has it.
 * They need not, for a name may never have been pushed; the registry says so then.
 */
export async function mountCandidates(store: Store, target: Reference): Promise<(digest: string) => string[]> {
  const repositories = new Map<string, Set<string>>();
  for (const image of await store.images.list()) {
    for (const repository of image.references.flatMap((name) => repositoryOn(target, name))) {
      for (const digest of [image.id, ...image.blobs.map((blob) => blob.digest)]) {
        repositories.set(digest, (repositories.get(digest) ?? new Set()).add(repository));
      }
    }
  }
  return (digest) => [...(repositories.get(digest) ?? [])];
}

function repositoryOn(target: Reference, name: string): string[] {
  try {
    const { registry, repository } = parseReference(name);
    return registry === target.registry && repository !== target.repository ? [repository] : [];
  } catch {
    return []; // another tool's name
  }
}
