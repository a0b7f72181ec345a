import { statSync } from 'node:fs';
import type { Readable } from 'node:stream';

import { importImage } from './archive/import';
import { settleImport } from './archive/import-options';
import { DinghyError, isDinghyError } from './errors';
import type {
  Image,
  ImageActions,
  ImageRecord,
  PresentedImage,
  ProgressPhase,
  PullOptions,
  RegistryAuth,
} from './image';
import { lowerFolders } from './layers/chain';
import { settleUnpackLimits, type SettledUnpackLimits, type UnpackLimits } from './layers/unpack-limits';
import { choosePlatform, parsePlatform } from './oci/platform';
import { canonicalName, parseReference } from './oci/reference';
import type * as Pull from './pull/pull';
import { undoPull } from './pull/undo';
import type { RegistryClientOptions } from './registry/client';
import type * as Login from './registry/login';
import { removeTrees } from './run/clean';
import type { RunContext } from './run/context';
import type { CreateImage } from './run/create';
import { listContainers } from './run/find';
import { rootlessIds } from './run/host';
import type { ImportOptions } from './runtime-options';
import type { StoredImage } from './store/images';
import { Store } from './store/store';
import { abortError, onAbort, throwIfAborted } from './util/abort';
import { checkChoice, invalidOption, type PlainObject } from './util/checks';

export const pullOptionNames = ['platform', 'auth', 'force', 'onProgress', 'signal'];

export interface ImageAccessOptions extends RegistryClientOptions {
  platform?: string;
  unpackLimits?: UnpackLimits;
}

/** The images of one data folder as a Runtime needs them: pulled, looked up, and made ready to be mounted. */
export class ImageAccess {
  readonly store: Store;
  readonly #options: ImageAccessOptions;
  readonly #limits: SettledUnpackLimits;
  readonly #context: () => Promise<RunContext>;
  #ready = new Map<string, CreateImage>();
  #readyStamp = '';

  constructor({ root }: { root: string }, options: ImageAccessOptions, context: () => Promise<RunContext>) {
    this.#options = options;
    this.#limits = settleUnpackLimits('unpackLimits', options.unpackLimits);
    this.#context = context;
    this.store = new Store({
      root,
      // Trees of other users' files, closed to this one, are the binary's to remove.
      remove: async (path) => {
        await removeTrees(await context(), [path]);
      },
    });
  }

  async open(): Promise<void> {
    await this.store.open();
  }

  async pull(reference: string, options: PullOptions): Promise<StoredImage> {
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
    // What a chain needs beside its layers is made now, and not when somebody waits for a start.
    await lowerFolders(this.store, image.layers, options.signal);
    return image;
  }

  async import(source: string | Readable, options: ImportOptions): Promise<StoredImage> {
    const { signal, ...settled } = settleImport(source, options, this.#options.platform);
    throwIfAborted(signal);
    await this.store.open();
    const rootless = rootlessIds();
    const failing = new AbortController();
    const added = { layers: new Set<string>(), blobs: new Set<string>() };
    const onProgress = (phase: ProgressPhase, current: number, total?: number): void => {
      const bytes = { current, ...(total === undefined ? {} : { total }) };
      try {
        options.onProgress?.({ phase, ...bytes, overall: bytes });
      } catch (error) {
        failing.abort(error); // called from where nobody could catch it
      }
    };
    const release = onAbort(signal, () => failing.abort(abortError(signal!)));
    const pin = await this.store.pin('shared', failing.signal);
    try {
      const parts = { store: this.store, added, signal: failing.signal, ...(rootless ? { rootless } : {}) };
      const telling = (current: number, total?: number): void => onProgress('extracting', current, total);
      const image = await importImage(settled.source, parts, { ...settled.settings, onProgress: telling });
      onProgress('done', image.blobs[0]!.size, image.blobs[0]!.size);
      return image;
    } catch (error) {
      await pin.release();
      await undoPull(this.store, added);
      throw failing.signal.aborted ? failing.signal.reason : error;
    } finally {
      release();
      await pin.release();
    }
  }

  async login(registry: string, auth: RegistryAuth): Promise<void> {
    const { login } = require('./registry/login') as typeof Login;
    await login(registry, auth, this.#registries);
  }

  async logout(registry: string): Promise<void> {
    const { logout } = require('./registry/login') as typeof Login;
    await logout(registry);
  }

  async get(nameOrId: string): Promise<StoredImage> {
    await this.store.open();
    return this.store.images.get(String(nameOrId));
  }

  async list(): Promise<StoredImage[]> {
    await this.store.open();
    return this.store.images.list();
  }

  /** What an Image of the store tells, and what it can do. */
  present(image: StoredImage): PresentedImage {
    const actions: ImageActions = {
      tag: async (_record, reference) => this.#tag(image, reference),
      remove: async (_record, { force }) => this.#remove(image, force),
    };
    return { record: toRecord(image), actions };
  }

  /** The image to make a container of: here, or pulled, as `pull` says. @throws ERR_IMAGE_NOT_FOUND and what a pull throws */
  async forCreate(image: string | Image, options: PlainObject): Promise<CreateImage> {
    const policy = options['pull'] === undefined ? 'missing' : checkChoice('pull', options['pull'], pullPolicies);
    if (typeof image !== 'string') {
      return this.#forImage(image);
    }
    const { platform, auth, onPullProgress, signal } = options as PullOptions & { onPullProgress?: never };
    const pull = async (force: boolean): Promise<CreateImage> =>
      this.#prepare(image, await this.pull(image, { platform, auth, force, onProgress: onPullProgress, signal }));
    if (policy === 'always') {
      return pull(true);
    }
    await this.store.open();
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
    const ready = found ? await this.#prepare(image, found) : policy === 'never' ? undefined : await pull(false);
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

  get #registries(): Pick<ImageAccessOptions, 'registries'> {
    const { registries } = this.#options;
    return registries ? { registries } : {};
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

  async #forImage(image: Image): Promise<CreateImage> {
    if (typeof image?.id !== 'string' || typeof image.digest !== 'string') {
      throw invalidOption('image', image, 'must be a reference or an Image');
    }
    await this.store.open();
    const stored = await this.store.images.read(image.digest);
    return this.#prepare(image.references[0] ?? image.id, stored);
  }

  async #prepare(reference: string, image: StoredImage): Promise<CreateImage> {
    const lower = await lowerFolders(this.store, image.layers);
    return { reference, id: image.id, config: image.config, lower };
  }

  /** Changes with index.json, which every change of images replaces. */
  #stamp(): string {
    const stat = statSync(this.store.paths.index, { bigint: true, throwIfNoEntry: false });
    return stat ? `${stat.ino} ${stat.mtimeNs} ${stat.size}` : '';
  }

  async #tag(image: StoredImage, reference: string): Promise<void> {
    const name = canonicalName(parseReference(reference));
    const known = (await this.store.references.list()).find(({ manifest }) => manifest.digest === image.digest);
    if (!known) {
      throw new DinghyError({
        code: 'ERR_IMAGE_NOT_FOUND',
        message: `the image ${image.id.slice(7, 19)} is not here any more: pull it again`,
      });
    }
    await this.store.references.set(name, known.manifest);
  }

  async #remove(image: StoredImage, force: boolean): Promise<void> {
    const users = (await listContainers(await this.#context())).filter(({ record }) => record.imageId === image.id);
    if (users.length > 0 && !force) {
      const names = users.map(({ record }) => record.name).join(', ');
      throw new DinghyError({
        code: 'ERR_IMAGE_IN_USE',
        message: `the image is used by ${names}: remove these containers first, or give force to drop its names only`,
        details: { containers: users.map(({ record }) => record.id) },
      });
    }
    await this.store.references.removeManifest(image.digest);
    if (users.length === 0) {
      const blobs = new Set([image.id, image.digest, ...image.blobs.map(({ digest }) => digest)]);
      await undoPull(this.store, { layers: new Set(image.layers), blobs });
    }
  }
}

const pullPolicies = ['missing', 'always', 'never'] as const;

function toRecord(image: StoredImage): ImageRecord {
  const { config, platform, history, blobs } = image;
  let next = 0;
  return {
    id: image.id,
    digest: image.digest,
    references: [...image.references],
    platform: [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/'),
    config: {
      env: Object.fromEntries(config.env.map(splitVariable)),
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
      size: emptyLayer ? 0 : (blobs[next++]?.size ?? 0),
    })),
  };
}

function splitVariable(entry: string): [string, string] {
  const equals = entry.indexOf('=');
  return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
}
