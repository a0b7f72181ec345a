import { statSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';

import type * as Import from './archive/import';
import { settleImport } from './archive/import-options';
import type * as Load from './archive/load';
import type { LoadOptions } from './archive/load';
import type * as Save from './archive/save';
import type { SaveOptions } from './archive/save';
import { checkPlace, settleSave } from './archive/options';
import { DinghyError, isDinghyError } from './errors';
import type {
  DamagedImage,
  Image,
  ImageActions,
  ImageRecord,
  PresentedImage,
  ProgressHandler,
  PullOptions,
  PullPolicy,
  PushOptions,
  RegistryAuth,
} from './image';
import { lowerFolders } from './layers/chain';
import { settleUnpackLimits, type SettledUnpackLimits, type UnpackLimits } from './layers/unpack-limits';
import { imageVariables } from './oci/container-config';
import { type ImageConfig, parseImageConfig } from './oci/image-config';
import { newImageName } from './oci/new-name';
import { choosePlatform, parsePlatform } from './oci/platform';
import { canonicalName, parseReference, shownName } from './oci/reference';
import type * as Pull from './pull/pull';
import type * as Verify from './pull/verify';
import type { Damage } from './pull/verify';
import type { RegistryClientOptions } from './registry/client';
import type * as Push from './push/push';
import { KnownRegistries } from './registry/known-registries';
import type * as Login from './registry/login';
import { removeTrees } from './run/clean';
import type * as Commit from './run/commit';
import type { CommitSettings } from './run/commit-options';
import type { ContainerControl } from './run/container-control';
import type { RunContext } from './run/context';
import type { CreateImage } from './run/create';
import { listContainers } from './run/find';
import { ensureState, type Folders, rootlessIds } from './run/host';
import { noteEvent } from './run/journal';
import type { ImportOptions } from './runtime-options';
import type { UnreadableImage, StoredImage } from './store/images';
import { type ImageRemoval, removeImage } from './store/removal';
import { Store } from './store/store';
import { checkChoice, checkOptions, invalidOption, type PlainObject } from './util/checks';

export const pullOptionNames = ['platform', 'auth', 'force', 'onProgress', 'signal'];
const pushOptionNames = ['auth', 'onProgress', 'signal'];

export interface ImageAccessOptions extends RegistryClientOptions {
  platform?: string;
  unpackLimits?: UnpackLimits;
}

type CreateOptions = PullOptions & { onPullProgress?: ProgressHandler };

/** An image that can be mounted, and how to tell whether it still can. */
interface ReadyImage {
  source: CreateImage;
  /** Of its manifest. */
  digest: string;
  /** Of index.json, from which it was looked up; empty when that may have changed meanwhile. */
  stamp: string;
}

/** The images of one data folder as a Runtime needs them: pulled, looked up, and made ready to be mounted. */
export class ImageAccess {
  readonly store: Store;
  readonly #folders: Folders;
  readonly #options: ImageAccessOptions;
  readonly #limits: SettledUnpackLimits;
  readonly #context: () => Promise<RunContext>;
  readonly #known = new KnownRegistries();
  #ready = new Map<string, ReadyImage>();
  #readyStamp = '';

  constructor(folders: Folders, options: ImageAccessOptions, context: () => Promise<RunContext>) {
    const { root } = folders;
    this.#folders = folders;
    this.#options = options;
    this.#limits = settleUnpackLimits('unpackLimits', options.unpackLimits);
    this.#context = context;
    this.store = new Store({
      root,
      // Trees of other users' files, closed to this one, are the binary's to remove.
      remove: async (path) => removeTrees(await context(), [path]),
    });
  }

  async open(): Promise<void> {
    await this.store.open();
  }

  async pull(reference: string, options: PullOptions): Promise<PresentedImage> {
    const image = await this.#pull(reference, options);
    return this.present(image, canonicalName(parseReference(reference)));
  }

  async #pull(reference: string, options: PullOptions): Promise<StoredImage> {
    if (typeof reference !== 'string') {
      throw invalidOption('reference', reference, "must be a string like 'nginx:1.18'");
    }
    const { auth, platform } = this.#options;
    const parts = {
      store: this.store,
      registry: { ...this.#registries, ...(auth ? { auth } : {}) },
      limits: this.#limits,
      ...(platform === undefined ? {} : { platform }),
    };
    // With the registry client behind it this is a third of what loading the package would cost, and most programs pull once at most.
    const { pullImage } = require('./pull/pull') as typeof Pull;
    const image = await pullImage(reference, parts, options);
    const name = shownName(canonicalName(parseReference(reference)));
    this.#note('pull', name, image, name.replace(/:[^/:]+$/, ''));
    return image;
  }

  async load(source: string | Readable, options: LoadOptions): Promise<PresentedImage[]> {
    const { loadImages } = require('./archive/load') as typeof Load;
    const { platform } = this.#options;
    const parts = { store: this.store, limits: this.#limits, ...(platform === undefined ? {} : { platform }) };
    const images = await loadImages(source, parts, options);
    images.forEach((image) => this.#note('load', image.id, image));
    return images.map((image) => this.present(image));
  }

  /** Each image under the name it was asked for by, or, asked for by its id, under all it has. @throws ERR_IMAGE_NOT_FOUND */
  async save(images: readonly (string | Image)[], target: string | Writable, options: SaveOptions): Promise<void> {
    await this.store.open();
    const found = await Promise.all(
      images.map(async (each) => {
        const text = typeof each === 'string' ? each : each.digest;
        return { image: await this.store.images.get(text), name: await this.store.images.nameOf(text) };
      }),
    );
    await this.#saveAll(target, found, options);
  }

  async #saveAll(
    target: string | Writable,
    found: readonly { image: StoredImage; name?: string }[],
    options: SaveOptions,
  ): Promise<void> {
    const { saveImages } = require('./archive/save') as typeof Save;
    const references = await this.store.references.list();
    const merged = new Map<string, { image: StoredImage; names: string[] }>();
    for (const { image, name } of found) {
      const all = references.flatMap((each) => (each.manifest.digest === image.digest ? (each.name ?? []) : []));
      const names = merged.get(image.digest)?.names ?? [];
      merged.set(image.digest, { image, names: [...new Set([...names, ...(name === undefined ? all : [name])])] });
    }
    await saveImages(target, [...merged.values()], this.store, options);
    merged.forEach(({ image }) => this.#note('save', image.id, image));
  }

  async verify(options: { repair: boolean; signal?: AbortSignal }): Promise<Damage[]> {
    const { verifyStore } = require('./pull/verify') as typeof Verify;
    const { auth } = this.#options;
    const registry = { ...this.#registries, ...(auth ? { auth } : {}) };
    return verifyStore({ store: this.store, registry, limits: this.#limits }, options);
  }

  async import(source: string | Readable, options: ImportOptions): Promise<StoredImage> {
    const settled = settleImport(source, options, this.#options.platform);
    const rootless = rootlessIds();
    const parts = { store: this.store, limits: this.#limits, ...(rootless ? { rootless } : {}) };
    const { onProgress } = options;
    const { importImage } = require('./archive/import') as typeof Import;
    const image = await importImage(settled.source, parts, settled.settings, {
      ...(onProgress ? { onProgress } : {}),
      ...(settled.signal ? { signal: settled.signal } : {}),
    });
    this.#note('import', image.id, image);
    return image;
  }

  async commit(control: ContainerControl, settings: CommitSettings): Promise<StoredImage> {
    const { commitContainer } = require('./run/commit') as typeof Commit;
    return commitContainer(control, { store: this.store, limits: this.#limits }, settings);
  }

  async login(registry: string, auth: RegistryAuth): Promise<void> {
    const { login } = require('./registry/login') as typeof Login;
    await login(registry, auth, this.#registries);
  }

  async logout(registry: string): Promise<void> {
    const { logout } = require('./registry/login') as typeof Login;
    await logout(registry);
  }

  /** The image, presented as what it was asked for: its removal by a name is the removal of that name. */
  async get(nameOrId: string): Promise<PresentedImage> {
    await this.store.open();
    const [image, name] = await Promise.all([
      this.store.images.get(String(nameOrId)),
      this.store.images.nameOf(String(nameOrId)),
    ]);
    return this.present(image, name);
  }

  async list(): Promise<StoredImage[]> {
    await this.store.open();
    return this.store.images.list();
  }

  async listDamaged(): Promise<DamagedImage[]> {
    await this.store.open();
    const { damaged } = await this.store.images.survey();
    return damaged.map(({ damage, references, ...ids }) => ({
      ...ids,
      references: [...references],
      reason: damage.message,
    }));
  }

  /** As `remove` of what `get` gives, and of what is too damaged for that. @throws ERR_IMAGE_NOT_FOUND and what `removeImage` throws */
  async remove(nameOrId: string, { force }: { force: boolean }): Promise<ImageRemoval> {
    await this.store.open();
    const [image, name] = await Promise.all([this.store.images.find(nameOrId), this.store.images.nameOf(nameOrId)]);
    return this.#remove(image, name, force);
  }

  /** What an Image of the store tells, and what it can do. `name`: the canonical one it was asked for by, if it was. */
  present(image: StoredImage, name?: string): PresentedImage {
    const actions: ImageActions = {
      tag: async (_record, reference) => this.#tag(image, reference),
      remove: async (_record, { force }) => this.#remove(image, name, force),
      save: async (_record, target, options) =>
        this.#saveAll(
          checkPlace('target', target),
          [{ image, ...(name === undefined ? {} : { name }) }],
          settleSave(options),
        ),
      push: async (_record, reference, options) => this.#push(image, reference, options),
    };
    return { record: toRecord(image), actions };
  }

  /**
   * Runs `work` with the image to make a container of: here, or pulled, as `pull` says. Until `work` is done, and has written down
   * what it needs, nobody removes any of it.
   * @throws ERR_IMAGE_NOT_FOUND and what a pull throws
   */
  async whileHere<T>(
    image: string | Image,
    options: PlainObject,
    work: (source: CreateImage) => Promise<T>,
  ): Promise<T> {
    const policy = options['pull'] === undefined ? 'missing' : checkChoice('pull', options['pull'], pullPolicies);
    for (let again = false; ; again = true) {
      const ready = await this.#forCreate(image, again && policy === 'always' ? 'missing' : policy, options);
      const done = await this.store.pinned(
        async () => {
          const unchanged = ready.stamp === this.#stamp() || (await this.#isListed(ready.digest));
          return unchanged ? { result: await work(ready.source) } : undefined;
        },
        options['signal'] as AbortSignal | undefined,
      );
      if (done) {
        return done.result;
      }
    }
  }

  /** Runs `work` with what the image of this id says, for somebody who has its layers: no name leads to it any more, maybe. */
  async pinned<T>(id: string, work: (config: ImageConfig) => Promise<T>): Promise<T> {
    await this.store.open();
    return this.store.pinned(async () => work(parseImageConfig(await this.store.blobs.read(id)).config));
  }

  async #forCreate(image: string | Image, policy: PullPolicy, options: CreateOptions): Promise<ReadyImage> {
    await this.store.open();
    if (typeof image !== 'string') {
      return this.#forImage(image);
    }
    const { platform, auth, onPullProgress, signal } = options;
    const pull = async (force: boolean): Promise<ReadyImage> =>
      this.#prepare(image, await this.#pull(image, { platform, auth, force, onProgress: onPullProgress, signal }));
    if (policy === 'always') {
      return pull(true);
    }
    const key = `${image} ${platform ?? ''}`;
    const stamp = this.#stamp();
    if (stamp !== this.#readyStamp) {
      this.#ready = new Map();
      this.#readyStamp = stamp;
    }
    const known = this.#ready.get(key);
    if (known) {
      return known;
    }
    const found = await this.#find(image, platform);
    const ready = found ? await this.#prepare(image, found, stamp) : policy === 'never' ? undefined : await pull(false);
    if (!ready) {
      throw new DinghyError({
        code: 'ERR_IMAGE_NOT_FOUND',
        message: `no image ${JSON.stringify(image)} here, and option pull is 'never': pull it first`,
        details: { image },
      });
    }
    if (found) {
      this.#ready.set(key, ready);
    }
    return ready;
  }

  get #registries(): Pick<ImageAccessOptions, 'registries' | 'known'> {
    const { registries } = this.#options;
    return { known: this.#known, ...(registries ? { registries } : {}) };
  }

  async #find(image: string, platform: string | undefined): Promise<StoredImage | undefined> {
    try {
      const found = await this.store.images.get(image);
      const fits = platform === undefined || choosePlatform([found.platform], parsePlatform(platform)) !== -1;
      return fits ? found : undefined;
    } catch (error) {
      if (isDinghyError(error) && (error.code === 'ERR_IMAGE_NOT_FOUND' || error.code === 'ERR_STORE')) {
        return undefined; // not here, or damaged: pulling brings it or repairs it
      }
      throw error;
    }
  }

  async #forImage(image: Image): Promise<ReadyImage> {
    if (typeof image?.id !== 'string' || typeof image.digest !== 'string') {
      throw invalidOption('image', image, 'must be a reference or an Image');
    }
    if (!(await this.#isListed(image.digest))) {
      throw notHere(image);
    }
    return this.#prepare(image.references[0] ?? image.id, await this.store.images.read(image.digest));
  }

  /** `stamp`: of before the image was looked up. */
  async #prepare(reference: string, image: StoredImage, stamp = ''): Promise<ReadyImage> {
    const lower = await lowerFolders(this.store, image.layers);
    return { source: { reference, id: image.id, config: image.config, lower }, digest: image.digest, stamp };
  }

  async #isListed(digest: string): Promise<boolean> {
    return (await this.store.references.list()).some(({ manifest }) => manifest.digest === digest);
  }

  /** Changes with index.json, which every change of images replaces. */
  #stamp(): string {
    const stat = statSync(this.store.paths.index, { bigint: true, throwIfNoEntry: false });
    return stat ? `${stat.ino} ${stat.mtimeNs} ${stat.size}` : '';
  }

  async #tag(image: StoredImage, text: string): Promise<void> {
    const name = newImageName('tag an image', text);
    if (!(await this.store.references.tag(name, image.digest))) {
      throw notHere(image);
    }
    this.#note('tag', image.id, image, shownName(name));
  }

  async #push({ digest }: StoredImage, reference: string | undefined, options: PushOptions): Promise<void> {
    checkOptions('push', options, pushOptionNames);
    const { auth } = this.#options;
    const { pushImage } = require('./push/push') as typeof Push;
    // Read anew: it may have got names since it was looked up.
    const image = await this.store.images.read(digest);
    const parts = { store: this.store, registry: { ...this.#registries, ...(auth ? { auth } : {}) } };
    await pushImage(image, reference, parts, options);
    const name = reference ?? image.references[0] ?? image.id;
    this.#note('push', name, image, name.replace(/:[^/:]+$/, ''));
  }

  async #remove(image: StoredImage | UnreadableImage, name: string | undefined, force: boolean): Promise<ImageRemoval> {
    const containers = await listContainers(await this.#context());
    const users = containers.flatMap(({ record }) =>
      image.id !== undefined && record.imageId === image.id ? [record] : [],
    );
    const removal = await removeImage(this.store, image, { force, users, ...(name === undefined ? {} : { name }) });
    removal.untagged.forEach((each) => this.#note('untag', image.id ?? image.digest, image, each));
    removal.deleted.forEach((id) => this.#note('delete', id, image));
    return removal;
  }

  /** `name`: what the action is about, without one the image's first name or the id. */
  #note(action: string, id: string, image: StoredImage | UnreadableImage, name = image.references[0] ?? id): void {
    const attributes = { ...('config' in image ? image.config.labels : {}), name };
    try {
      ensureState(this.#folders.state);
    } catch {
      return; // not this user's, so nobody reads there
    }
    noteEvent(this.#folders.state, { type: 'image', action, id, attributes });
  }
}

function notHere(image: { id: string }): DinghyError {
  return new DinghyError({
    code: 'ERR_IMAGE_NOT_FOUND',
    message: `the image ${image.id.slice(7, 19)} is not here any more: pull it again`,
    details: { image: image.id },
  });
}

const pullPolicies = ['missing', 'always', 'never'] as const;

function toRecord(image: StoredImage): ImageRecord {
  const { config, platform, history, sizes } = image;
  let next = 0;
  return {
    id: image.id,
    digest: image.digest,
    references: [...image.references],
    platform: [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/'),
    config: {
      env: imageVariables(config.env),
      entrypoint: [...config.entrypoint],
      command: [...config.command],
      user: config.user,
      workdir: config.workdir,
      ports: [...config.ports],
      volumes: [...config.volumes],
      labels: { ...config.labels },
      ...(config.stopSignal === undefined ? {} : { stopSignal: config.stopSignal }),
      ...(config.healthcheck ? { healthcheck: { ...config.healthcheck, test: [...config.healthcheck.test] } } : {}),
    },
    size: image.size,
    ...(image.created ? { created: image.created } : {}),
    layers: [...image.layers],
    history: history.map(({ created, createdBy, comment, emptyLayer }) => ({
      ...(created ? { created } : {}),
      createdBy,
      comment,
      emptyLayer,
      size: emptyLayer ? 0 : (sizes[next++] ?? 0),
    })),
  };
}
