import { DinghyError, isDinghyError } from '../errors';
import { chainIds } from '../oci/chain-id';
import type { Descriptor } from '../oci/descriptor';
import { type ImageConfig, type ImageHistoryEntry, parseImageConfig } from '../oci/image-config';
import { type Manifest, parseManifest } from '../oci/manifest';
import type { Platform } from '../oci/platform';
import { canonicalName, parseReference, shownName } from '../oci/reference';
import type { BlobStore } from './blobs';
import type { LayerStore } from './layers';
import type { ReferenceStore, StoredReference } from './references';

/** One image of the store. */
export interface StoredImage {
  /** Digest of its config. */
  readonly id: string;
  /** Digest of its manifest. */
  readonly digest: string;
  /** As Docker shows them: `nginx:1.18`. */
  readonly references: readonly string[];
  readonly platform: Platform;
  readonly config: ImageConfig;
  readonly created?: Date;
  readonly author: string;
  readonly history: readonly ImageHistoryEntry[];
  /** Diff ids, bottom first. */
  readonly layers: readonly string[];
  /** Chain ids, one for each layer. */
  readonly chain: readonly string[];
  /** The layers' blobs, bottom first, beside `layers`. */
  readonly blobs: readonly Descriptor[];
  /** Bytes of each layer, uncompressed, beside `layers`. */
  readonly sizes: readonly number[];
  /** Bytes of its uncompressed layers, each as a tar; where a layer isn't unpacked, of its blob. */
  readonly size: number;
}

/** One whose manifest or config is missing or damaged: what index.json, and the manifest where it is whole, still tell. */
export interface UnreadableImage {
  /** Digest of its manifest. */
  readonly digest: string;
  /** Digest of its config, where the manifest still tells it. */
  readonly id?: string;
  /** As Docker shows them. */
  readonly references: readonly string[];
  /** ERR_STORE, naming the blob. */
  readonly damage: DinghyError;
}

/** The digests of all that it is or unpacks to: for a lease. */
export function contentOfImage({ id, digest, blobs, layers, chain }: StoredImage): string[] {
  return [id, digest, ...blobs.map((each) => each.digest), ...layers, ...chain];
}

/** Reads images: what `index.json` names, joined with manifests, configs and layers. */
export class ImageStore {
  readonly #blobs: BlobStore;
  readonly #layers: LayerStore;
  readonly #references: ReferenceStore;

  constructor(parts: { blobs: BlobStore; layers: LayerStore; references: ReferenceStore }) {
    this.#blobs = parts.blobs;
    this.#layers = parts.layers;
    this.#references = parts.references;
  }

  /** All images that can be read, each once, in the order in which they came; `damaged` are the others. */
  async list(): Promise<StoredImage[]> {
    return (await this.survey()).images;
  }

  /** All that index.json names, whole or not, in the order in which they came. */
  async survey(): Promise<{ images: StoredImage[]; damaged: UnreadableImage[] }> {
    const images: StoredImage[] = [];
    const damaged: UnreadableImage[] = [];
    for (const [digest, names] of await this.#byManifest()) {
      const found = await this.#loadOrDamage(digest, names);
      if (found && 'damage' in found) {
        damaged.push(found);
      } else if (found) {
        images.push(found);
      }
    }
    return { images, damaged };
  }

  /**
   * The image that a reference, a digest or a prefix of an id means. A reference goes before an id that looks like it.
   * @throws ERR_IMAGE_NOT_FOUND, ERR_AMBIGUOUS_ID, ERR_STORE when its manifest or config is damaged
   */
  async get(nameOrId: string): Promise<StoredImage> {
    const found = await this.find(nameOrId);
    if ('damage' in found) {
      throw found.damage;
    }
    return found;
  }

  /**
   * The same, whole or not. One whose manifest is damaged has no id any more: a reference or the manifest's digest finds it.
   * @throws ERR_IMAGE_NOT_FOUND, ERR_AMBIGUOUS_ID
   */
  async find(nameOrId: string): Promise<StoredImage | UnreadableImage> {
    const entry = await this.#findEntry(nameOrId);
    const digest = entry?.manifest.digest;
    const named = digest && (await this.#loadOrDamage(digest, (await this.#byManifest()).get(digest) ?? []));
    if (named) {
      return named;
    }
    const { images, damaged } = await this.survey();
    const image = findById([...damaged, ...images], nameOrId);
    if (!image) {
      const nameless = damaged.filter(({ id }) => id === undefined).map(({ digest }) => digest);
      const hint = nameless.length > 0 ? ` (${nameless.join(', ')} can't be told by an image id: damaged)` : '';
      throw new DinghyError({
        code: 'ERR_IMAGE_NOT_FOUND',
        message: `no image ${JSON.stringify(nameOrId)} here${hint}: pull it first`,
        details: { image: nameOrId },
      });
    }
    return image;
  }

  /** The image that a reference names here, or undefined; undefined too for what is no reference. */
  async findByReference(text: string): Promise<StoredImage | undefined> {
    const found = await this.#findEntry(text);
    return found && this.read(found.manifest.digest);
  }

  /** The canonical name that this is, if an image has it; undefined for ids and their starts. */
  async nameOf(text: string): Promise<string | undefined> {
    return (await this.#findEntry(text))?.name;
  }

  async #findEntry(text: string): Promise<StoredReference | undefined> {
    let name: string;
    let digest: string | undefined;
    try {
      const reference = parseReference(text);
      name = canonicalName(reference);
      digest = reference.digest;
    } catch {
      return undefined;
    }
    const references = await this.#references.list();
    return (
      references.find((each) => each.name === name) ??
      // A tagged image is also what `name@digest` means, when the digest is that of its manifest.
      references.find(
        (each) => digest !== undefined && each.manifest.digest === digest && inRepository(each.name, name),
      )
    );
  }

  /** The image of a manifest in the store. @throws ERR_STORE when a blob of it is missing or damaged */
  async read(digest: string): Promise<StoredImage> {
    return this.#load(digest, (await this.#byManifest()).get(digest) ?? []);
  }

  /** The manifest itself. @throws ERR_STORE */
  async manifest(digest: string): Promise<Manifest> {
    const document = parseManifest(await this.#blobs.read(digest));
    if (document.kind !== 'manifest') {
      throw new DinghyError({
        code: 'ERR_STORE',
        message: `the blob ${digest} is an index, not the manifest of one image`,
      });
    }
    return document;
  }

  async #byManifest(): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    for (const { name, manifest } of await this.#references.list()) {
      const names = found.get(manifest.digest) ?? [];
      found.set(manifest.digest, name === undefined ? names : [...names, name]);
    }
    return found;
  }

  /** Undefined when it was removed meanwhile. */
  async #loadOrDamage(digest: string, names: readonly string[]): Promise<StoredImage | UnreadableImage | undefined> {
    try {
      return await this.#load(digest, names);
    } catch (error) {
      if (!isDinghyError(error) || error.code !== 'ERR_STORE') {
        throw error;
      }
      if (!(await this.#byManifest()).has(digest)) {
        return undefined;
      }
      const manifest = await this.manifest(digest).catch(() => undefined);
      const id = manifest && { id: manifest.config.digest };
      return { digest, ...id, references: names.map(shownName), damage: error };
    }
  }

  async #load(digest: string, names: readonly string[]): Promise<StoredImage> {
    const manifest = await this.manifest(digest);
    const document = parseImageConfig(await this.#blobs.read(manifest.config.digest));
    const sizes = await Promise.all(
      document.diffIds.map(
        async (diffId, index) => (await this.#layers.get(diffId))?.diffSize ?? manifest.layers[index]?.size ?? 0,
      ),
    );
    return {
      id: manifest.config.digest,
      digest,
      references: names.map(shownName),
      platform: document.platform,
      config: document.config,
      ...(document.created ? { created: document.created } : {}),
      author: document.author,
      history: document.history,
      layers: document.diffIds,
      chain: chainIds(document.diffIds),
      blobs: manifest.layers,
      sizes,
      size: sizes.reduce((sum, each) => sum + each, 0),
    };
  }
}

/** The last that an id, a digest or the start of one means. @throws ERR_AMBIGUOUS_ID */
function findById<T extends { id?: string; digest: string }>(images: readonly T[], text: string): T | undefined {
  const [, algorithm = 'sha256', prefix] = /^(?:(sha256|sha512):)?([0-9a-f]{1,128})$/.exec(text) ?? [];
  if (prefix === undefined) {
    return undefined;
  }
  const matches = images.filter(({ id, digest }) =>
    [id, digest].some((each) => each?.startsWith(`${algorithm}:${prefix}`)),
  );
  const ids = new Set(matches.map(({ id, digest }) => id ?? digest));
  if (ids.size > 1) {
    throw new DinghyError({
      code: 'ERR_AMBIGUOUS_ID',
      message: `${JSON.stringify(text)} is the start of ${ids.size} image ids: give more of it`,
      details: { matches: [...ids] },
    });
  }
  return matches.at(-1);
}

function inRepository(stored: string | undefined, wanted: string): boolean {
  const repository = (name: string): string => name.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
  return stored !== undefined && repository(stored) === repository(wanted);
}
