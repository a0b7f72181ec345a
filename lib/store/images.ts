import { DinghyError } from '../errors';
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

  /** All images, each once, in the order in which they came. One whose blobs are damaged is left out: `verify` tells of it. */
  async list(): Promise<StoredImage[]> {
    const images: StoredImage[] = [];
    for (const [digest, names] of await this.#byManifest()) {
      const image = await this.#load(digest, names).catch((error: unknown) => {
        if ((error as { code?: unknown }).code === 'ERR_STORE') {
          return undefined;
        }
        throw error;
      });
      if (image) {
        images.push(image);
      }
    }
    return images;
  }

  /**
   * The image that a reference, a digest or a prefix of an id means. A reference goes before an id that looks like it.
   * @throws ERR_IMAGE_NOT_FOUND, ERR_AMBIGUOUS_ID
   */
  async get(nameOrId: string): Promise<StoredImage> {
    const image = (await this.findByReference(nameOrId)) ?? (await this.#findById(nameOrId));
    if (!image) {
      throw new DinghyError({
        code: 'ERR_IMAGE_NOT_FOUND',
        message: `no image ${JSON.stringify(nameOrId)} here: pull it first`,
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

  async #findById(text: string): Promise<StoredImage | undefined> {
    const prefix = text.replace(/^sha256:/, '');
    if (!/^[0-9a-f]{1,64}$/.test(prefix)) {
      return undefined;
    }
    const images = await this.list();
    const matches = images.filter((each) => [each.id, each.digest].some((id) => id.startsWith(`sha256:${prefix}`)));
    if (new Set(matches.map((each) => each.id)).size > 1) {
      throw new DinghyError({
        code: 'ERR_AMBIGUOUS_ID',
        message: `${JSON.stringify(text)} is the start of ${matches.length} image ids: give more of it`,
        details: { matches: matches.map((each) => each.id) },
      });
    }
    return matches.at(-1);
  }

  async #byManifest(): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    for (const { name, manifest } of await this.#references.list()) {
      const names = found.get(manifest.digest) ?? [];
      found.set(manifest.digest, name === undefined ? names : [...names, name]);
    }
    return found;
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

function inRepository(stored: string | undefined, wanted: string): boolean {
  const repository = (name: string): string => name.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
  return stored !== undefined && repository(stored) === repository(wanted);
}
