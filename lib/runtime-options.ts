import type { ImageConfig, ProgressHandler, PullPolicy, RegistryAuth } from './image';
import type { UnpackLimits } from './layers/unpack-limits';
import type { ContainerOptions, ExecOptions, SpawnOptions } from './run/options';

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
  /** Where a layer is taken for an attack and refused. */
  unpackLimits?: UnpackLimits;
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
  /** `key` or `key=value`; of several all must be there. */
  label?: string | string[];
  status?: string | string[];
  /** The image by the reference the container was made with, or its id. */
  image?: string | string[];
  /** What its health check last found: `starting`, `healthy`, `unhealthy`; `none` where it has none. */
  health?: string | string[];
  /** The exit code of one that has ended. */
  exited?: string | string[];
}

export interface ImageFilters {
  /** The whole reference, or its repository; `*`, `?` and `[a-z]` as in a shell, within one path segment. Of several one must fit. */
  reference?: string | string[];
  /** `key` or `key=value`; of several all must be there. */
  label?: string | string[];
  /** Images without a name, or those with one. */
  dangling?: boolean;
  /** Made before, or after, the one of this reference or id. */
  before?: string;
  since?: string;
}

export interface PruneOptions {
  /** `true`: those without a name; `'all'`: every one that no container was made of. */
  images?: boolean | 'all';
  /** Detached ones that don't run. Those that a process owns go with it. */
  containers?: boolean;
  /** Those no container has. `true`: anonymous ones; `'all'`: named ones too. */
  volumes?: boolean | 'all';
  /** Those no container is on, unless a living process owns them. */
  networks?: boolean;
}

export interface PruneResult {
  /** Ids. */
  images: string[];
  containers: string[];
  /** Names. */
  volumes: string[];
  networks: string[];
  freedBytes: number;
}

export interface RestoreResult {
  started: { id: string; name: string }[];
  /** Those with `autoRemove`: they had ended. */
  removed: { id: string; name: string }[];
  /** Each with why it could not be started, or removed. */
  failed: { id: string; name: string; error: unknown }[];
}

export interface VerifyOptions {
  repair?: boolean;
  signal?: AbortSignal;
}

export interface VerifyResult {
  damaged: {
    /** `fix`: what a chain of layers needs beside them; `reference`: index.json, which says which images there are. */
    kind: 'blob' | 'layer' | 'fix' | 'reference';
    /** A digest, diff id or chain id. */
    id: string;
    reason: string;
    repaired: boolean;
    /** Why it could not be repaired. */
    error?: string;
  }[];
}

/** Something that happened, in Docker's words. */
export interface RuntimeEvent {
  type: 'container' | 'image' | 'network' | 'volume';
  /** `create`, `start`, `die`, `exec_start: ls -l`, `pull`, … */
  action: string;
  /** Of the container or image; of a pull and a push the reference; of a volume or network its name. */
  id: string;
  time: Date;
  /** The same time to the nanosecond, ISO 8601. */
  timestamp: string;
  /** Name, image and labels, and what the action brings: `exitCode`, `signal`, `oldName`. */
  attributes: Record<string, string>;
}

/** Keys are ANDed, values of one key ORed: `{type: 'container', action: ['start', 'die']}`. */
export interface EventFilters {
  type?: string | string[];
  action?: string | string[];
  /** Name or id, or the start of either. */
  container?: string | string[];
  image?: string | string[];
  /** `key` or `key=value` */
  label?: string | string[];
  network?: string | string[];
  volume?: string | string[];
}

export interface EventOptions {
  /** Begin with what is kept from then on. Without it and `until`, with what comes after the call. */
  since?: Date | number;
  /** End there; without it the iterator goes on. */
  until?: Date | number;
  filters?: EventFilters;
  /** The iterator throws AbortError. */
  signal?: AbortSignal;
}

export interface LoadOptions {
  onProgress?: ProgressHandler;
  signal?: AbortSignal;
}

/** Options of `import`. */
export interface ImportOptions extends LoadOptions {
  /** What the image is called; without it, it has its id only. */
  reference?: string;
  config?: Partial<ImageConfig>;
  /** Dockerfile instructions over that, as `docker import --change` takes them. */
  changes?: readonly string[];
  /** Stands in the history. Default: `Imported from …`. */
  message?: string;
  /** Default: the Runtime's, else the host's. */
  platform?: string;
  /** A Date or milliseconds since 1970; default: now. With it the same content gives the same image. */
  created?: Date | number;
}
