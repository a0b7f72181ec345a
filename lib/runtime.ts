import type { Readable } from 'node:stream';

import type { Container } from './container';
import type { Image, ImageConfig, ProgressHandler, PullOptions, PullPolicy, RegistryAuth } from './image';
import type { CreateNetworkOptions, Network } from './networks';
import type { ContainerProcess } from './run/container-process';
import type { ExecResult } from './run/exec-result';
import type { ContainerOptions, ExecOptions, SpawnOptions } from './run/options';
import { asyncDispose } from './util/dispose';
import { notImplemented } from './util/not-implemented';
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
export interface RunOptions extends CreateOptions {}

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

/** The way in: images and containers below one data folder. Making one does no I/O. */
export class Runtime implements AsyncDisposable {
  constructor(_options: RuntimeOptions = {}) {}

  /** The image is usable; rejects when anything failed on the way, and then nothing of it is left. */
  async pull(_reference: string, _options: PullOptions = {}): Promise<Image> {
    throw pending('runtime.pull()');
  }

  /** @throws ERR_IMAGE_NOT_FOUND · ERR_AMBIGUOUS_ID */
  async image(_nameOrId: string): Promise<Image> {
    throw pending('runtime.image()');
  }

  async images(_options: { filters?: ImageFilters } = {}): Promise<Image[]> {
    throw pending('runtime.images()');
  }

  async create(_image: string | Image, _options: CreateOptions = {}): Promise<Container> {
    throw pending('runtime.create()');
  }

  /** Its process runs, its published ports are forwarded, and `waitFor`, if given, is met. */
  async run(_image: string | Image, _options: RunOptions = {}): Promise<Container> {
    throw pending('runtime.run()');
  }

  /** Runs argv in a fresh container to its end, and removes it. */
  async exec(
    image: string | Image,
    argv: readonly string[],
    options: RuntimeExecOptions & { encoding: 'buffer' },
  ): Promise<ExecResult<Buffer>>;
  async exec(image: string | Image, argv: readonly string[], options?: RuntimeExecOptions): Promise<ExecResult>;
  async exec(
    _image: string | Image,
    _argv: readonly string[],
    _options: RuntimeExecOptions = {},
  ): Promise<ExecResult<string | Buffer>> {
    throw pending('runtime.exec()');
  }

  async spawn(
    _image: string | Image,
    _argv: readonly string[],
    _options: RuntimeSpawnOptions = {},
  ): Promise<ContainerProcess> {
    throw pending('runtime.spawn()');
  }

  /** @throws ERR_CONTAINER_NOT_FOUND · ERR_AMBIGUOUS_ID */
  async container(_idPrefixOrName: string): Promise<Container> {
    throw pending('runtime.container()');
  }

  /** The running ones, whoever made them; with `all` every one. */
  async containers(_options: { all?: boolean; filters?: ContainerFilters } = {}): Promise<Container[]> {
    throw pending('runtime.containers()');
  }

  async info(): Promise<RuntimeInfo> {
    throw pending('runtime.info()');
  }

  /** What this Runtime made and owns is removed; everything else is let go. Idempotent. */
  async close(): Promise<void> {}

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
}

function pending(what: string): Error {
  return notImplemented(what, 'it follows in this series of commits');
}
