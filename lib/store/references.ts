import { readFile } from 'node:fs/promises';

import { DinghyError } from '../errors';
import { type Descriptor, readDescriptor } from '../oci/descriptor';
import { JsonReader } from '../oci/json';
import { mediaTypes } from '../oci/media-types';
import { unlessMissing } from '../util/files';
import { withLock } from './locks';
import type { StorePaths } from './paths';
import { writeWithDraft } from './temporary';

/** The annotation by which readers of an OCI layout find an image (image-spec, annotations.md). */
const refName = 'org.opencontainers.image.ref.name';
const maxIndexBytes = 64 * 1024 * 1024;
const maxEntries = 1_000_000;

/** A manifest in the store, under a canonical reference (`docker.io/library/nginx:1.18`) or, when it lost its last one, none. */
export interface StoredReference {
  readonly name?: string;
  readonly manifest: Descriptor;
}

/** `index.json`: which manifests are images of this store, and what they are called. Changes are atomic, and one at a time. */
export class ReferenceStore {
  readonly #paths: StorePaths;

  constructor(paths: StorePaths) {
    this.#paths = paths;
  }

  /** @throws ERR_STORE when index.json is damaged */
  async list(): Promise<StoredReference[]> {
    const bytes = await unlessMissing(readFile(this.#paths.index));
    return bytes ? this.#parse(bytes) : [];
  }

  async get(name: string): Promise<Descriptor | undefined> {
    return (await this.list()).find((each) => each.name === name)?.manifest;
  }

  /**
   * The name means this manifest from now on. An image that loses its last name by this stays, without one, until it's pruned,
   * as in Docker: a container may have been made of it.
   */
  async set(name: string, manifest: Descriptor, signal?: AbortSignal): Promise<void> {
    await this.update((references) => named(references, name, manifest), signal);
  }

  /** The same for what must be an image of this store at that very moment. @returns whether it was one */
  async tag(name: string, digest: string): Promise<boolean> {
    let found = false;
    await this.update((references) => {
      const known = references.find(({ manifest }) => manifest.digest === digest);
      found = known !== undefined;
      return known ? named(references, name, known.manifest) : references;
    });
    return found;
  }

  /** The names are gone; an image that had no others is no image of this store any more. */
  async remove(names: readonly string[]): Promise<void> {
    await this.update((references) =>
      references.filter((each) => each.name === undefined || !names.includes(each.name)),
    );
  }

  /** Every entry of these manifests is gone, named or not. */
  async removeManifests(digests: ReadonlySet<string>): Promise<void> {
    await this.update((references) => references.filter((each) => !digests.has(each.manifest.digest)));
  }

  /** Replaces the entries by what `change` makes of them, with no other change in between. Afterwards index.json exists. */
  async update(change: (references: StoredReference[]) => StoredReference[], signal?: AbortSignal): Promise<void> {
    const work = async (): Promise<void> => {
      const bytes = await unlessMissing(readFile(this.#paths.index));
      const text = serialise(change(bytes ? this.#parse(bytes) : []));
      if (text !== bytes?.toString()) {
        await writeWithDraft(this.#paths, this.#paths.index, text);
      }
    };
    await withLock(this.#paths.lock('index'), work, signal ? { signal } : {});
  }

  #parse(bytes: Buffer): StoredReference[] {
    const reader = new JsonReader(`${this.#paths.index} is damaged`, 'ERR_STORE');
    const entries = reader.array(reader.parse(bytes, maxIndexBytes)['manifests'] ?? [], 'manifests', maxEntries);
    return entries.map((entry, index) => {
      const { annotations = {}, ...descriptor } = readDescriptor(reader, entry, `manifests[${index}]`);
      const { [refName]: name, ...others } = annotations;
      const manifest = Object.keys(others).length > 0 ? { ...descriptor, annotations: others } : descriptor;
      return name === undefined ? { manifest } : { name, manifest };
    });
  }
}

/** The entries when `name` means this manifest; what had the name before, and no other, stays without one. */
export function named(references: StoredReference[], name: string, manifest: Descriptor): StoredReference[] {
  const others = references.filter(
    (each) => each.name !== name && !(each.name === undefined && each.manifest.digest === manifest.digest),
  );
  const replaced = references.find((each) => each.name === name)?.manifest;
  const orphaned =
    replaced && replaced.digest !== manifest.digest && !others.some((each) => each.manifest.digest === replaced.digest);
  return [...others, ...(orphaned ? [{ manifest: replaced }] : []), { name, manifest }];
}

function serialise(references: readonly StoredReference[]): string {
  const manifests = references.map(({ name, manifest }) => {
    const annotations = { ...manifest.annotations, ...(name === undefined ? {} : { [refName]: name }) };
    const { mediaType, digest, size, platform } = manifest;
    return {
      mediaType,
      digest,
      size,
      ...(platform ? { platform } : {}),
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    };
  });
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  const text = `${JSON.stringify(index, undefined, 2)}\n`;
  if (text.length > maxIndexBytes) {
    throw new DinghyError({ code: 'ERR_STORE', message: 'the store has too many images: prune some' });
  }
  return text;
}
