import type { WaitCondition } from './wait-condition';

/** A number of bytes, or a string such as `'512m'` (`b k m g`, powers of 1024). */
export type Size = number | string;

export interface TerminalSize {
  columns: number;
  rows: number;
}

/** `5432`, `'8001:80'`, `'127.0.0.1::80/udp'`, or this. No host port: an ephemeral one. No host address: loopback for a
 * bare number, every address otherwise, as in Docker. */
export interface PortOption {
  containerPort: number;
  hostPort?: number;
  hostAddress?: string;
  protocol?: 'tcp' | 'udp';
}

/** `'/host:/path:ro'`, `'name:/path'`, `'/path'` (an anonymous volume), or this. */
export interface MountOption {
  type: 'bind' | 'volume' | 'tmpfs';
  /** Absolute host path of a bind; name of a volume, absent for an anonymous one. */
  source?: string;
  /** Absolute path in the container. */
  target: string;
  /** Also what is mounted below it, unless `recursive` says otherwise. */
  readOnly?: boolean;
  /** volume only: what lies there in the volume is mounted; it must exist, and its links lead nowhere but into the volume. */
  subpath?: string;
  /** volume only: an empty one is not filled from the image's folder. */
  noCopy?: boolean;
  /**
   * bind only. `'enabled'`, the default: what is mounted below the source comes along, read-only if the mount is. `'disabled'`: it doesn't.
   * `'writable'`: it comes along and stays writable. `'readonly'`: as `'enabled'`, said aloud.
   */
  recursive?: 'enabled' | 'disabled' | 'writable' | 'readonly';
  propagation?: 'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave';
  /** tmpfs only. */
  size?: Size;
  /** tmpfs only: permission bits, as `0o1777`. */
  mode?: number;
}

/** A file laid into the container's root before its first start. */
export interface FileOption {
  path: string;
  content?: string | Uint8Array;
  /** A host file to copy instead of `content`. */
  source?: string;
  /** Permission bits; default `0o644`. */
  mode?: number;
  uid?: number;
  gid?: number;
}

export interface NetworkAttachment {
  /** More names of it there. */
  aliases?: string[];
  /** Of the network's subnet; without one a free one. */
  address?: string;
}

/** `'none'`, `'host'`, `'bridge'`, `'container:<name or id>'`, a network's name, a Network, or several by name: the first one's interface is eth0. */
export type NetworkOption =
  string | { readonly name: string; readonly subnet: string } | Record<string, NetworkAttachment>;

export interface UlimitOption {
  soft: number;
  hard: number;
}

export interface DeviceOption {
  source: string;
  target?: string;
  /** Any of `r`, `w`, `m`; default `rwm`. */
  permissions?: string;
}

export interface HealthcheckOption {
  /**
   * argv, a string for the image's shell, `['CMD', …]`, `['CMD-SHELL', text]`, or `'none'` to switch the image's off. What is absent,
   * here and below, is the image's.
   */
  test?: string[] | string;
  /** Between two probes; default 30000. */
  intervalMs?: number;
  /** After which a probe is killed, with its children; default 30000. */
  timeoutMs?: number;
  /** In which failures do not count; default 0. */
  startPeriodMs?: number;
  /** Between two probes within that period; default 5000. */
  startIntervalMs?: number;
  /** So many failures in a row are unhealthy; default 3. */
  retries?: number;
}

export interface IoOption {
  /** Its share of the disks' time against others', 10 to 1000; where the disk's scheduler is bfq. */
  weight?: number;
  /** By the disk's path: `{'/dev/sda': '10m'}`. */
  readBytesPerSecond?: Record<string, Size>;
  writeBytesPerSecond?: Record<string, Size>;
  readOperationsPerSecond?: Record<string, number>;
  writeOperationsPerSecond?: Record<string, number>;
}

export interface RestartOption {
  policy: 'no' | 'always' | 'on-failure' | 'unless-stopped';
  maxRetries?: number;
}

export interface LogOption {
  maxSize?: Size;
  maxFiles?: number;
}

/** What a container is made with. Docker's meaning wherever Docker has one. */
export interface ContainerOptions {
  name?: string;
  command?: string[] | string;
  entrypoint?: string[] | string;
  env?: Record<string, string>;
  workdir?: string;
  user?: string;
  groupAdd?: (string | number)[];
  hostname?: string;
  tty?: boolean | TerminalSize;
  openStdin?: boolean;
  ports?: (number | string | PortOption)[];
  mounts?: (string | MountOption)[];
  /** `['/run']`, or `{'/run': 'size=64m,mode=1777'}`. */
  tmpfs?: string[] | Record<string, string>;
  files?: FileOption[];
  network?: NetworkOption;
  aliases?: string[];
  dns?: string[];
  /** Domains in which names are looked up that are not found as they are; `['.']` for none. Absent: the host's. */
  dnsSearch?: string[];
  /** Options of resolv.conf(5), like `'ndots:1'`. Absent: the host's. */
  dnsOptions?: string[];
  /** `{'db.local': '10.0.0.7'}`; `'host-gateway'` stands for the host. */
  extraHosts?: Record<string, string>;
  /** TCP ports of the host's own 127.0.0.1 that the container reaches at `host.dinghy.internal`. */
  hostPorts?: number[];
  publishAll?: boolean;
  volumesFrom?: string[];
  /** `'host'` or `'container:<id>'`. */
  pid?: string;
  /** `'host'`, `'private'` or `'container:<id>'`. */
  ipc?: string;
  memory?: Size;
  memoryReservation?: Size;
  /** Memory plus swap, as in Docker; -1 is unlimited. */
  memorySwap?: Size;
  cpus?: number;
  cpuShares?: number;
  cpuset?: string;
  pids?: number;
  io?: IoOption;
  oomScoreAdj?: number;
  shmSize?: Size;
  ulimits?: Record<string, number | UlimitOption>;
  readOnly?: boolean;
  capAdd?: string[];
  capDrop?: string[];
  privileged?: boolean;
  /** `'default'`, `'unconfined'`, or a profile in Docker's JSON format. */
  seccomp?: string | Record<string, unknown>;
  noNewPrivileges?: boolean;
  devices?: (string | DeviceOption)[];
  sysctls?: Record<string, string>;
  labels?: Record<string, string>;
  /** Run by the supervisor, so it needs no Node: `'always'`, `'on-failure:3'`, or an object. */
  restart?: RestartOption['policy'] | `on-failure:${number}` | RestartOption;
  healthcheck?: HealthcheckOption;
  stopSignal?: string;
  stopTimeoutMs?: number;
  /** A small init as PID 1 that forwards signals and reaps. */
  init?: boolean;
  /** Removes the container as soon as it ends. */
  autoRemove?: boolean;
  log?: LogOption;
  waitFor?: WaitCondition | WaitCondition[];
  /** True: the container outlives this process. */
  detached?: boolean;
  reuse?: string;
  /** Covers the call alone: aborted, it is undone; once settled, it has no effect. */
  signal?: AbortSignal;
}

/** Options of `Container.exec`. */
export interface ExecOptions extends SpawnOptions {
  /** What the process reads from its stdin; by default it reads an end of file. */
  input?: string | Uint8Array;
  encoding?: 'utf8' | 'buffer';
  /** Kept per stream; the rest is drained and counted. Default 16 MiB. */
  maxOutputBytes?: number;
  /** Reject with ERR_EXIT_CODE when the exit code is not 0. */
  check?: boolean;
}

/** Options of `Container.spawn`. */
export interface SpawnOptions {
  env?: Record<string, string>;
  user?: string;
  workdir?: string;
  tty?: boolean | TerminalSize;
  timeoutMs?: number;
  /** Kills the process and its children in the container. */
  signal?: AbortSignal;
}
