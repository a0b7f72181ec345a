import type { Readable } from 'node:stream';

import { Container } from './container';
import { DinghyError } from './errors';
import {
  Image,
  type ImageConfig,
  type ProgressHandler,
  type PullOptions,
  type PullPolicy,
  type RegistryAuth,
} from './image';
import { ImageAccess, pullOptionNames } from './image-access';
import type { CreateNetworkOptions, Network } from './networks';
import { matchesContainer, matchesImage } from './filters';
import { sweepContainers } from './run/clean';
import { ContainerControl } from './run/container-control';
import type { ContainerProcess } from './run/container-process';
import type { RunContext } from './run/context';
import { createContainer } from './run/create';
import { checkArgv, execOptionNames, settleCollect, spawnOptionNames } from './run/exec-options';
import type { ExecResult } from './run/exec-result';
import { findContainer, listContainers } from './run/find';
import {
  chooseFolders,
  chooseProvider,
  ensureState,
  type Folders,
  hostReasons,
  probeHost,
  providerOf,
  rootlessIds,
} from './run/host';
import { LiveContainer } from './run/live-container';
import { OneShotProcess, runToEnd } from './run/one-shot';
import type { ContainerOptions, ExecOptions, SpawnOptions } from './run/options';
import { containerOptionNames, settleOptions } from './run/settle-options';
import { settleConditions, waitForConditions } from './run/wait-for';
import { createLog } from './log';
import { abortable, throwIfAborted } from './util/abort';
import {
  checkBoolean,
  checkDuration,
  checkOptions,
  checkRecord,
  checkArgument,
  checkSignal,
  type PlainObject,
} from './util/checks';
import { asyncDispose } from './util/dispose';
import { notImplemented } from './util/not-implemented';
import { packageVersion } from './util/version';
import type { CreateVolumeOptions, Volume } from './volumes';

export interface RegistryOption {
  /** Hosts asked first, in this order. */
  mirrors?: string[];
  /** Plain http, or a certificate nobody vouches for. Loopback needs no such permission. */
  insecure?: boolean;
  /** PEM of an own authority. */
  ca?: string;
}

export interface RuntimeOptions {
  /** Data folder. Default: DINGHY_ROOT, /var/lib/dinghy for root, `$XDG_DATA_HOME/dinghy` for anyone else. */
  root?: string;
  /** Run-time folder on tmpfs. Default: DINGHY_STATE, /run/dinghy for root, `$XDG_RUNTIME_DIR/dinghy` for anyone else. */
  state?: string;
  /** Default platform of pulls: `linux/arm64`. */
  platform?: string;
  /** By registry host. */
  registries?: Record<string, RegistryOption>;
  /** By registry host; before any credential file. */
  auth?: Record<string, RegistryAuth>;
  /** Put on every container made here. */
  labels?: Record<string, string>;
}

/** Options of `create`. */
export interface CreateOptions extends ContainerOptions {
  /** Default `'missing'`. */
  pull?: PullPolicy;
  platform?: string;
  auth?: RegistryAuth;
  onPullProgress?: ProgressHandler;
}

/** Options of `run`: those of `create`. */
export type RunOptions = CreateOptions;

type NotForOneShot = 'detached' | 'reuse' | 'restart' | 'autoRemove' | 'command';

/** Options of `Runtime.exec`: a fresh container, to its end. */
export interface RuntimeExecOptions
  extends Omit<CreateOptions, NotForOneShot>, Omit<ExecOptions, keyof CreateOptions> {}

/** Options of `Runtime.spawn`. */
export interface RuntimeSpawnOptions
  extends Omit<CreateOptions, NotForOneShot>, Omit<SpawnOptions, keyof CreateOptions> {}

export interface RuntimeInfo {
  version: string;
  /** Containers can run here. */
  usable: boolean;
  /** What the host lacks, each with its cure. */
  reasons: string[];
  cgroup: 'v1' | 'v2' | 'hybrid' | 'none';
  controllers: string[];
  rootless: boolean;
  /** How root file systems are made: `'overlay'`, or `'overlay-tmpfs'` where the data folder can't be an upper. */
  rootfs: 'overlay' | 'overlay-tmpfs' | 'none';
  kernel: string;
  root: string;
  state: string;
}

/** Keys are ANDed, values of one key ORed: `{label: ['app=web'], status: 'running'}`. */
export interface ContainerFilters {
  id?: string | string[];
  name?: string | string[];
  label?: string | string[];
  status?: string | string[];
  /** The image by the reference the container was made with, or its id. */
  image?: string | string[];
}

export interface ImageFilters {
  reference?: string | string[];
  label?: string | string[];
}

export interface PruneOptions {
  images?: boolean;
  containers?: boolean;
  volumes?: boolean;
  networks?: boolean;
}

export interface PruneResult {
  images: string[];
  containers: string[];
  volumes: string[];
  networks: string[];
  freedBytes: number;
}

export interface VerifyResult {
  damaged: { kind: 'blob' | 'layer' | 'reference'; id: string; reason: string; repaired: boolean }[];
}

export interface RuntimeEvent {
  type: 'container' | 'image' | 'network' | 'volume';
  action: string;
  id: string;
  time: Date;
  attributes: Record<string, string>;
}

export interface EventOptions {
  since?: Date | number;
  until?: Date | number;
  filters?: { type?: string | string[]; action?: string | string[]; container?: string | string[] };
  signal?: AbortSignal;
}

export interface LoadOptions {
  onProgress?: ProgressHandler;
  signal?: AbortSignal;
}

export interface ImportOptions extends LoadOptions {
  reference?: string;
  config?: Partial<ImageConfig>;
}

const log = createLog('runtime');

const runtimeOptionNames = ['root', 'state', 'platform', 'registries', 'auth', 'labels'];
const createOptionNames = [...containerOptionNames, 'pull', 'platform', 'auth', 'onPullProgress'];
const oneShotRefused = ['detached', 'reuse', 'restart', 'autoRemove', 'command'];
const oneShotNames = createOptionNames.filter((name) => !oneShotRefused.includes(name));

// Once per process and data folder somebody looks for what killed processes left behind.
const swept = new Set<string>();
const sweepDelayMs = 50;

/** The way in: images and containers below one data folder. Making one does no I/O. */
export class Runtime implements AsyncDisposable {
  readonly #folders: Folders;
  readonly #labels: Record<string, string>;
  readonly #images: ImageAccess;
  readonly #owned = new Set<ContainerControl>();
  readonly #pending = new Set<Promise<unknown>>();
  #context: Promise<RunContext> | undefined;
  #closing: Promise<void> | undefined;

  /** @throws ERR_INVALID_OPTION */
  constructor(options: RuntimeOptions = {}) {
    const given = checkOptions('Runtime', options, runtimeOptionNames);
    this.#folders = chooseFolders(given);
    this.#labels = given['labels'] === undefined ? {} : checkRecord('labels', given['labels'], checkArgument);
    this.#images = new ImageAccess(this.#folders, options, () => this.#prepare());
  }

  /** The image is usable; rejects when anything failed on the way, and then nothing of it is left. */
  async pull(reference: string, options: PullOptions = {}): Promise<Image> {
    this.#assertOpen();
    checkOptions('pull', options, pullOptionNames);
    return this.#present(await this.#images.pull(reference, options));
  }

  /** @throws ERR_IMAGE_NOT_FOUND · ERR_AMBIGUOUS_ID */
  async image(nameOrId: string): Promise<Image> {
    this.#assertOpen();
    return this.#present(await this.#images.get(nameOrId));
  }

  async images(options: { filters?: ImageFilters } = {}): Promise<Image[]> {
    this.#assertOpen();
    const { filters } = checkOptions('images', options, ['filters']);
    const matches = matchesImage(filters);
    return (await this.#images.list()).map((image) => this.#present(image)).filter(matches);
  }

  async create(image: string | Image, options: CreateOptions = {}): Promise<Container> {
    const given = checkOptions('create', options, createOptionNames);
    settleConditions('waitFor', given['waitFor'] ?? []);
    return this.#track(async () => {
      const control = await this.#create(image, given);
      await this.#guard(control, given, () => control.opened());
      return new Container(new LiveContainer(control));
    });
  }

  /** Its process runs, its published ports are forwarded, and `waitFor`, if given, is met. */
  async run(image: string | Image, options: RunOptions = {}): Promise<Container> {
    const given = checkOptions('run', options, createOptionNames);
    const checks = settleConditions('waitFor', given['waitFor'] ?? []);
    return this.#track(async () => {
      const control = await this.#create(image, given);
      const signal = given['signal'] as AbortSignal | undefined;
      await this.#guard(control, given, async () => {
        await control.start();
        if (checks.length > 0) {
          await waitForConditions(control, checks, signal ? { signal } : {});
        }
      });
      return new Container(new LiveContainer(control));
    });
  }

  /** Runs argv in a fresh container to its end, and removes it. */
  async exec(
    image: string | Image,
    argv: readonly string[],
    options: RuntimeExecOptions & { encoding: 'buffer' },
  ): Promise<ExecResult<Buffer>>;
  async exec(image: string | Image, argv: readonly string[], options?: RuntimeExecOptions): Promise<ExecResult>;
  async exec(
    image: string | Image,
    argv: readonly string[],
    options: RuntimeExecOptions = {},
  ): Promise<ExecResult<string | Buffer>> {
    const given = checkOptions('exec', options, [...new Set([...oneShotNames, ...execOptionNames])]);
    const collect = settleCollect(given);
    const settings = oneShotSettings(argv, given);
    return this.#track(async () => {
      const openStdin = collect.input === undefined ? {} : { openStdin: true };
      const control = await this.#create(image, { ...given, ...openStdin, command: settings.argv });
      try {
        return await runToEnd(control, settings, collect);
      } finally {
        this.#owned.delete(control);
      }
    });
  }

  async spawn(
    image: string | Image,
    argv: readonly string[],
    options: RuntimeSpawnOptions = {},
  ): Promise<ContainerProcess> {
    const given = checkOptions('spawn', options, [...new Set([...oneShotNames, ...spawnOptionNames])]);
    const settings = oneShotSettings(argv, given);
    return this.#track(async () => {
      const control = await this.#create(image, { openStdin: true, ...given, command: settings.argv });
      return OneShotProcess.start(control, settings);
    });
  }

  /** @throws ERR_CONTAINER_NOT_FOUND · ERR_AMBIGUOUS_ID */
  async container(idPrefixOrName: string): Promise<Container> {
    this.#assertOpen();
    return new Container(new LiveContainer(findContainer(await this.#prepare(), String(idPrefixOrName))));
  }

  /** The running ones, whoever made them; with `all`, or when asked for a status, every one that fits. The newest first. */
  async containers(options: { all?: boolean; filters?: ContainerFilters } = {}): Promise<Container[]> {
    this.#assertOpen();
    const { all, filters } = checkOptions('containers', options, ['all', 'filters']);
    const matches = matchesContainer(filters, all === undefined ? false : checkBoolean('all', all));
    const found = await listContainers(await this.#prepare());
    return found.filter(matches).map((control) => new Container(new LiveContainer(control)));
  }

  /** What this host can do. Never rejects for want of a right: that is what it tells. */
  async info(): Promise<RuntimeInfo> {
    this.#assertOpen();
    ensureState(this.#folders.state);
    await this.#images.open();
    const facts = await probeHost(this.#folders);
    const rootless = rootlessIds() !== undefined;
    const reasons = hostReasons(facts, this.#folders, rootless);
    return {
      version: packageVersion(),
      usable: reasons.length === 0,
      reasons,
      cgroup: facts.cgroup.mode,
      controllers: facts.cgroup.controllers,
      rootless,
      rootfs: providerOf(facts, rootless) ?? 'none',
      kernel: facts.kernel,
      ...this.#folders,
    };
  }

  /** What this Runtime made and owns is removed; everything else is let go. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [asyncDispose](): Promise<void> {
    await this.close();
  }

  async load(_source: string | Readable, _options: LoadOptions = {}): Promise<Image[]> {
    throw notImplemented('runtime.load()', 'push the archive to a registry with skopeo and pull it');
  }

  async import(_source: string | Readable, _options: ImportOptions = {}): Promise<Image> {
    throw notImplemented('runtime.import()', 'make an image of it with buildah or umoci, push it, and pull it');
  }

  async prune(_options: PruneOptions = {}): Promise<PruneResult> {
    throw notImplemented('runtime.prune()', 'remove containers and images one by one');
  }

  async verify(_options: { repair?: boolean } = {}): Promise<VerifyResult> {
    throw notImplemented('runtime.verify()', 'pull the image again with `force`');
  }

  async login(_registry: string, _auth: RegistryAuth): Promise<void> {
    throw notImplemented('runtime.login()', 'give `auth` to the Runtime, or log in with docker, podman or skopeo');
  }

  async logout(_registry: string): Promise<void> {
    throw notImplemented('runtime.logout()', 'log out with the program that logged in');
  }

  events(_options: EventOptions = {}): AsyncIterable<RuntimeEvent> {
    const error = notImplemented('runtime.events()', "container.wait() tells of one container's end");
    return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) };
  }

  async createNetwork(_options: CreateNetworkOptions = {}): Promise<Network> {
    throw notImplemented('runtime.createNetwork()', "use network 'bridge'");
  }

  async network(_name: string): Promise<Network> {
    throw notImplemented('runtime.network()', "use network 'bridge'");
  }

  async networks(): Promise<Network[]> {
    throw notImplemented('runtime.networks()', "use network 'bridge'");
  }

  async createVolume(_options: CreateVolumeOptions = {}): Promise<Volume> {
    throw notImplemented('runtime.createVolume()', "a mount 'name:/path' makes the volume where it's missing");
  }

  async volume(_name: string): Promise<Volume> {
    throw notImplemented('runtime.volume()', 'volumes are the folders below volumes/ in the data folder');
  }

  async volumes(): Promise<Volume[]> {
    throw notImplemented('runtime.volumes()', 'volumes are the folders below volumes/ in the data folder');
  }

  async #close(): Promise<void> {
    // Calls under way notice that it's closed, and undo what they made.
    await Promise.allSettled(this.#pending);
    const results = await Promise.allSettled([...this.#owned].map((control) => control.close()));
    this.#owned.clear();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) {
      throw failed.reason;
    }
  }

  #assertOpen(): void {
    if (this.#closing) {
      throw new DinghyError({ code: 'ERR_CLOSED', message: 'the runtime is closed: make a new one' });
    }
  }

  async #track<T>(work: () => Promise<T>): Promise<T> {
    this.#assertOpen();
    const promise = work();
    this.#pending.add(promise);
    try {
      return await promise;
    } finally {
      this.#pending.delete(promise);
    }
  }

  /** The folders are there and it's known how roots are made; what dead processes left is removed a little later. */
  #prepare(): Promise<RunContext> {
    this.#context ??= this.#open().catch((error: unknown) => {
      this.#context = undefined;
      throw error;
    });
    return this.#context;
  }

  async #open(): Promise<RunContext> {
    ensureState(this.#folders.state);
    await this.#images.open();
    const rootless = rootlessIds();
    const provider = await chooseProvider(this.#folders, rootless !== undefined);
    const { paths } = this.#images.store;
    const context: RunContext = { paths, state: this.#folders.state, provider, ...(rootless ? { rootless } : {}) };
    if (!swept.has(paths.root)) {
      swept.add(paths.root);
      // Not now: it reads a folder for each container, and somebody waits for a start.
      setTimeout(() => {
        sweepContainers(context).catch((error: unknown) => log('sweeping failed: %s', error));
      }, sweepDelayMs).unref();
    }
    return context;
  }

  #present(stored: Parameters<ImageAccess['present']>[0]): Image {
    const { record, actions } = this.#images.present(stored);
    return new Image(record, actions);
  }

  /** The container is on disk; an owned one has its supervisor. */
  async #create(image: string | Image, options: PlainObject): Promise<ContainerControl> {
    const settings = settleOptions(options);
    settings.labels = { ...this.#labels, ...settings.labels };
    const signal = options['signal'] === undefined ? undefined : checkSignal('signal', options['signal']);
    throwIfAborted(signal);
    const [context, source] = await Promise.all([this.#prepare(), this.#images.forCreate(image, options)]);
    throwIfAborted(signal);
    const control = ContainerControl.adopt(context, await createContainer(context, source, settings));
    if (control.isOwned) {
      this.#owned.add(control);
    }
    if (this.#closing) {
      await control.discard();
      this.#assertOpen();
    }
    return control;
  }

  /** Runs the rest of a create or run; if it fails or is aborted, the container is gone. */
  async #guard(control: ContainerControl, options: PlainObject, work: () => Promise<void>): Promise<void> {
    try {
      await abortable(work(), options['signal'] as AbortSignal | undefined);
    } catch (error) {
      this.#owned.delete(control);
      await control.discard();
      throw error;
    }
  }
}

function oneShotSettings(
  argv: readonly string[],
  given: PlainObject,
): { argv: string[]; timeoutMs?: number; signal?: AbortSignal } {
  const { timeoutMs, signal } = given;
  return {
    argv: checkArgv(argv),
    ...(timeoutMs === undefined ? {} : { timeoutMs: checkDuration('timeoutMs', timeoutMs) }),
    ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
  };
}
