/** The parts of the OCI runtime specification 1.2 that dinghy writes. */
export interface RuntimeSpec {
  ociVersion: string;
  process: SpecProcess;
  root: { path: string; readonly: boolean };
  hostname?: string;
  mounts: SpecMount[];
  linux: SpecLinux;
  annotations?: Record<string, string>;
  dinghy: DinghySection;
}

export interface SpecProcess {
  terminal: boolean;
  consoleSize?: { width: number; height: number };
  user: { uid: number; gid: number; additionalGids?: number[] };
  args: string[];
  env: string[];
  cwd: string;
  capabilities: {
    bounding: string[];
    effective: string[];
    permitted: string[];
    inheritable: string[];
    ambient: string[];
  };
  rlimits: { type: string; soft: number; hard: number }[];
  oomScoreAdj?: number;
  noNewPrivileges: boolean;
}

export interface SpecMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

export interface SpecDevice {
  type: 'c' | 'b' | 'p';
  path: string;
  major: number;
  minor: number;
  fileMode: number;
  uid: number;
  gid: number;
}

export interface SpecDeviceRule {
  allow: boolean;
  type?: 'a' | 'c' | 'b';
  major?: number;
  minor?: number;
  access: string;
}

export interface SpecResources {
  memory?: { limit?: number; reservation?: number; swap?: number };
  cpu?: { shares?: number; quota?: number; period?: number; cpus?: string };
  pids?: { limit: number };
  blockIO?: { weight?: number } & Partial<Record<BlockThrottle, SpecThrottle[]>>;
  devices?: SpecDeviceRule[];
}

export type BlockThrottle =
  'throttleReadBpsDevice' | 'throttleWriteBpsDevice' | 'throttleReadIOPSDevice' | 'throttleWriteIOPSDevice';

export interface SpecThrottle {
  major: number;
  minor: number;
  rate: number;
}

export interface SpecLinux {
  namespaces: { type: string; path?: string }[];
  cgroupsPath: string;
  resources: SpecResources;
  devices: SpecDevice[];
  sysctl?: Record<string, string>;
  maskedPaths: string[];
  readonlyPaths: string[];
}

/** What the supervisor needs beyond the specification; other runtimes ignore it. */
export interface DinghySection {
  version: 1;
  id: string;
  name: string;
  detached: boolean;
  /** Several processes hold it: its supervisor leaves the cgroup of the one that made it. */
  shared?: boolean;
  rootfs: OverlayRoot;
  /** As the image or the user wrote it; the binary resolves it against the image's passwd and group. */
  user?: string;
  groupAdd?: string[];
  /** HOME is taken from passwd when env has none. */
  defaultHome: boolean;
  log: { path: string; maxSize?: number; maxFiles?: number };
  stdin: boolean;
  /** Mount destinations whose empty source folder is filled from the image's folder first. */
  copyUp: string[];
  /** By mount destination: what lies there in the mount's source is mounted, looked up inside it. */
  subpaths?: Record<string, string>;
  /** By mount destination: volumes that stand on frozen layers. */
  stacks?: Record<string, VolumeStack>;
  /** Written by the supervisor: folders that became layers, some of them maybe not yet in their place (addon/supervisor/freeze.h). */
  freezing?: { from: string; to: string }[];
  stop: { signal: number; timeoutMs: number };
  init: boolean;
  autoRemove: boolean;
  /** Absent: `no`. */
  restart?: RestartSection;
  health?: HealthSection;
  network: NetworkSection;
  rootless?: { uid: number; gid: number; subuid?: IdRange; subgid?: IdRange };
  /** A compiled filter's path, `'unconfined'`, or absent for the built-in default. */
  seccompFilter?: string;
  lock: string;
  /** Paths unlinked on removal. */
  release: string[];
  /** Folders removed on removal. */
  trees: string[];
  /** Those that it has; removed with the last container that has them, unless they are kept. */
  anonymousVolumes?: { folders: string[]; keep?: boolean };
}

/** What is run to see whether the container is well; an absent number is the binary's default, which is Docker's. */
export interface HealthSection {
  args: string[];
  intervalMs?: number;
  timeoutMs?: number;
  startPeriodMs?: number;
  startIntervalMs?: number;
  retries?: number;
}

export interface RestartSection {
  policy: 'always' | 'on-failure' | 'unless-stopped';
  /** Of `on-failure`; absent: no end. */
  maxRetries?: number;
}

export interface OverlayRoot {
  type: 'overlay';
  /** Topmost first, absolute. */
  lower: string[];
  upper: string;
  work: string;
  volatile: boolean;
  userxattr: boolean;
  /** So many of the topmost of `lower` were written by containers and frozen; absent: none. The rest is the image's. */
  frozen?: number;
}

/** The folder that a mount names is the upper one of an overlay over these, topmost first. */
export interface VolumeStack {
  lower: string[];
  work: string;
}

export interface IdRange {
  start: number;
  count: number;
}

export type NetworkSection = { mode: 'none' } | { mode: 'host' } | SharedSection | BridgeSection;

/** The network of another container. */
export interface SharedSection {
  mode: 'container';
  /** Its id. */
  container: string;
  /** Where its supervisor lends it, each time that this one is started. */
  socket: string;
}

export interface BridgeSection {
  mode: 'bridge';
  /** One for each network that it is on. */
  endpoints: EndpointSection[];
  /** Name servers that its resolver asks, from inside it, instead of the host's. */
  dns?: string[];
  /** Its resolv.conf names the resolver, though no network of it has names any more. */
  resolver?: boolean;
  ports: { hostAddress: string; hostPort: number; containerPort: number; protocol: 'tcp' | 'udp' }[];
  /** TCP ports of the host's 127.0.0.1 that the container reaches at each gateway. */
  hostPorts?: number[];
}

/** A container's place on one network. */
export interface EndpointSection {
  /** The network's name. */
  network: string;
  /** Its interface is `eth<number>`. */
  number: number;
  bridge: string;
  lock: string;
  /** CIDR */
  subnet: string;
  gateway: string;
  /** CIDR */
  address: string;
  /** Of a network that has IPv6, too: the bridge's, and this one's with its prefix. */
  gateway6?: string;
  address6?: string;
  mac: string;
  /** Absent: the kernel's. */
  mtu?: number;
  /** What has no other way leaves by this gateway. */
  defaultRoute: boolean;
  /** Nothing gets from this network to another one. */
  internal?: boolean;
  /** The folder in which its names are told; absent where there are none. */
  names?: string;
  aliases: string[];
  /** The files that hold its addresses: unlinked when it leaves. */
  claims: string[];
}
