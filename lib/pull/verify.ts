import { isDinghyError } from '../errors';
import { bringBlob } from '../layers/bring';
import { checkFixes } from '../layers/chain';
import { checkLayer, type CheckOptions, type Finding } from '../layers/check';
import type { SettledUnpackLimits } from '../layers/unpack-limits';
import type { Descriptor } from '../oci/descriptor';
import { type ImageDocument, parseImageConfig } from '../oci/image-config';
import { type Manifest, parseManifest } from '../oci/manifest';
import { parseReference } from '../oci/reference';
import { RegistryClient, type RegistryClientOptions } from '../registry/client';
import type { StoredReference } from '../store/references';
import type { Store } from '../store/store';
import { throwIfAborted } from '../util/abort';
import { ProgressReporter } from '../util/progress';

export interface Damage {
  /** `'reference'`: index.json itself. */
  kind: 'blob' | 'layer' | 'fix' | 'reference';
  /** A digest, diff id or chain id. */
  id: string;
  reason: string;
  repaired: boolean;
  /** Why it could not be repaired, where that was asked for. */
  error?: string;
}

export interface VerifyParts {
  store: Store;
  registry?: RegistryClientOptions;
  limits?: SettledUnpackLimits;
}

interface Listed {
  manifest: Descriptor;
  /** Where its blobs can be had again. */
  names: string[];
}

/**
 * Every blob was hashed, every unpacked layer compared with what its blob unpacks to, every fix layer with what its chain asks for.
 * With `repair` damaged blobs are pulled again from where the image's names say, and layers made again from their blobs.
 * @returns what was damaged, and what of it no longer is
 * @throws ERR_NO_SPACE, ABORT_ERR
 */
export async function verifyStore(
  { store, registry, limits }: VerifyParts,
  { repair, signal }: { repair: boolean; signal?: AbortSignal },
): Promise<Damage[]> {
  await store.open();
  const client = new RegistryClient(registry);
  const lease = await store.lease();
  try {
    // Nothing of it goes while it's looked at.
    await lease.hold([...(await store.blobs.list()), ...(await store.layers.list())], signal);
    return await new Verification(store, client, {
      repair,
      ...(limits ? { limits } : {}),
      ...(signal ? { signal } : {}),
    }).run();
  } finally {
    client.close();
    await lease.release();
  }
}

class Verification {
  readonly damaged: Damage[] = [];
  readonly #store: Store;
  readonly #client: RegistryClient;
  readonly #options: CheckOptions;
  /** Blobs that were looked at, and whether they are whole now. */
  readonly #checked = new Map<string, boolean>();
  /** For each diff id a whole blob that unpacks to it, if there is one. */
  readonly #sources = new Map<string, Descriptor>();
  readonly #wanted = new Set<string>();

  constructor(store: Store, client: RegistryClient, options: CheckOptions) {
    this.#store = store;
    this.#client = client;
    this.#options = options;
  }

  async run(): Promise<Damage[]> {
    const documents: ImageDocument[] = [];
    for (const listed of await this.#listed()) {
      const document = await this.#checkImage(listed);
      documents.push(...(document ? [document] : []));
    }
    for (const digest of await this.#store.blobs.list()) {
      await this.#checkBlob({ digest }, []);
    }
    await this.#checkLayers();
    for (const { diffIds } of documents) {
      const none = new Map<string, Finding>();
      const found = await this.#attempt(() => checkFixes(this.#store, diffIds, this.#options), none);
      for (const [id, finding] of found) {
        this.#tell('fix', id, finding);
      }
    }
    return this.damaged;
  }

  async #listed(): Promise<Listed[]> {
    let references: StoredReference[];
    try {
      references = await this.#store.references.list();
    } catch (error) {
      this.#tell('reference', 'index.json', { reason: (error as Error).message, repaired: false });
      return [];
    }
    const found = new Map<string, Listed>();
    for (const { name, manifest } of references) {
      const names = found.get(manifest.digest)?.names ?? [];
      found.set(manifest.digest, { manifest, names: name === undefined ? names : [...names, name] });
    }
    return [...found.values()];
  }

  /** Its blobs; the layers they unpack to are noted. */
  async #checkImage({ manifest: descriptor, names }: Listed): Promise<ImageDocument | undefined> {
    if (!(await this.#checkBlob(descriptor, names, { isManifest: true }))) {
      return undefined;
    }
    const manifest = parseManifest(await this.#store.blobs.read(descriptor.digest)) as Manifest;
    const configIsWhole = await this.#checkBlob(manifest.config, names);
    const whole: boolean[] = [];
    for (const layer of manifest.layers) {
      whole.push(await this.#checkBlob(layer, names));
    }
    if (!configIsWhole) {
      return undefined;
    }
    const document = parseImageConfig(await this.#store.blobs.read(manifest.config.digest));
    document.diffIds.forEach((diffId, index) => {
      this.#wanted.add(diffId);
      if (whole[index]) {
        this.#sources.set(diffId, manifest.layers[index]!);
      }
    });
    return document;
  }

  /** True when the blob is whole, or is so again. */
  async #checkBlob(
    blob: { digest: string; size?: number },
    names: readonly string[],
    { isManifest = false } = {},
  ): Promise<boolean> {
    throwIfAborted(this.#options.signal);
    const known = this.#checked.get(blob.digest);
    if (known !== undefined && (known || names.length === 0)) {
      return known;
    }
    const reason = await this.#blobFault(blob);
    let error: string | undefined;
    if (reason !== undefined && this.#options.repair) {
      error = await this.#fetch({ mediaType: '', size: 0, ...blob }, names, isManifest);
    }
    const whole = reason === undefined || (this.#options.repair && error === undefined);
    this.#checked.set(blob.digest, whole);
    if (reason !== undefined) {
      this.#tell('blob', blob.digest, { reason, repaired: whole }, error);
    }
    return whole;
  }

  async #blobFault({ digest, size }: { digest: string; size?: number }): Promise<string | undefined> {
    const present = await this.#store.blobs.size(digest);
    if (present === undefined) {
      return 'it is missing';
    }
    if (size !== undefined && present !== size) {
      return `it has ${present} bytes, not ${size}`;
    }
    return (await this.#store.blobs.verify(digest)) ? undefined : 'its bytes have another digest';
  }

  /** @returns why it can't be had, or undefined when it is here again */
  async #fetch(blob: Descriptor, names: readonly string[], isManifest: boolean): Promise<string | undefined> {
    let why = 'no name of an image says where to fetch it from';
    for (const name of names) {
      try {
        const { signal = new AbortController().signal } = this.#options;
        const repository = await this.#client.repository(parseReference(name));
        if (isManifest) {
          await this.#store.blobs.write((await repository.getManifest(blob.digest, signal)).bytes, blob.digest);
        } else {
          const open = (wanted: Descriptor): AsyncIterable<Buffer> => repository.openBlob(wanted, signal);
          const reporter = new ProgressReporter(undefined, () => undefined);
          await bringBlob(blob, { store: this.#store, source: { open }, reporter, signal, added: new Set() });
        }
        return undefined;
      } catch (error) {
        throwIfAborted(this.#options.signal);
        if (!isDinghyError(error) || error.code === 'ERR_NO_SPACE') {
          throw error;
        }
        why = error.message;
      }
    }
    return why;
  }

  async #checkLayers(): Promise<void> {
    for (const diffId of new Set([...this.#wanted, ...(await this.#store.layers.list())])) {
      throwIfAborted(this.#options.signal);
      const blob = this.#sources.get(diffId) ?? (await this.#recordedBlob(diffId));
      // One whose blob is damaged is looked at once that is whole again; the blob has been told.
      const finding =
        blob && (await this.#attempt(() => checkLayer(this.#store, diffId, blob, this.#options), undefined));
      if (finding) {
        this.#tell('layer', diffId, finding);
      } else if (!blob && (await this.#store.layers.get(diffId).catch(() => undefined)) === undefined) {
        this.#tell('layer', diffId, { reason: 'it is missing or damaged, and so is its blob', repaired: false });
      }
    }
  }

  async #recordedBlob(diffId: string): Promise<Descriptor | undefined> {
    const record = await this.#store.layers.get(diffId).catch(() => undefined);
    return record && this.#checked.get(record.blob.digest) ? record.blob : undefined;
  }

  /** A blob that is whole may still not be what the image says it is. */
  async #attempt<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isDinghyError(error) && ['ERR_LAYER', 'ERR_DIGEST_MISMATCH', 'ERR_STORE'].includes(error.code)) {
        const id = (error.details?.['diffId'] ?? error.details?.['digest'] ?? '') as string;
        this.#tell('layer', id, { reason: error.message, repaired: false });
        return otherwise;
      }
      throw error;
    }
  }

  #tell(kind: Damage['kind'], id: string, { reason, repaired }: Finding, error?: string): void {
    this.damaged.push({ kind, id, reason, repaired, ...(error === undefined ? {} : { error }) });
  }
}
