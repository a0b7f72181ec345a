import type { SeccompProfile } from './seccomp-profile';
import type { BlockThrottle, BridgeSection, RestartSection } from './spec-types';

/** A container's options, checked, in one form and one unit each. What is undefined comes from the image or is a default. */
export interface ContainerSettings {
  name?: string;
  command?: string[];
  entrypoint?: string[];
  env: Record<string, string>;
  workdir?: string;
  user?: string;
  groupAdd: string[];
  hostname?: string;
  terminal?: { columns: number; rows: number };
  openStdin: boolean;
  ports: BridgeSection['ports'];
  publishAll: boolean;
  mounts: MountSetting[];
  volumesFrom: VolumesFromSetting[];
  files: FileSetting[];
  network: NetworkSetting;
  dns: string[];
  /** Undefined: the host's. */
  dnsSearch?: string[];
  /** Undefined: the host's. */
  dnsOptions?: string[];
  extraHosts: Record<string, string>;
  hostPorts: number[];
  memoryBytes?: number;
  memoryReservationBytes?: number;
  memorySwapBytes?: number;
  cpus?: number;
  cpuShares?: number;
  cpuset?: string;
  pids?: number;
  io?: IoSetting;
  oomScoreAdj?: number;
  shmBytes: number;
  ulimits: { type: string; soft: number; hard: number }[];
  readOnly: boolean;
  capAdd: string[];
  capDrop: string[];
  privileged: boolean;
  /** `undefined`: the default profile, or none when privileged. */
  seccomp?: 'default' | 'unconfined' | SeccompProfile;
  noNewPrivileges: boolean;
  devices: DeviceSetting[];
  sysctls: Record<string, string>;
  labels: Record<string, string>;
  restart?: RestartSection;
  healthcheck?: HealthcheckSetting;
  stopSignal?: number;
  stopTimeoutMs: number;
  init: boolean;
  autoRemove: boolean;
  log: { maxSize?: number; maxFiles?: number };
  detached: boolean;
}

/** Shares of the disks' time, and limits for single disks. */
export interface IoSetting {
  /** 10 to 1000. */
  weight?: number;
  throttles: IoThrottle[];
}

export interface IoThrottle {
  kind: BlockThrottle;
  /** A block device's path on the host. */
  device: string;
  /** Bytes, or operations, a second. */
  rate: number;
}

/** On `networks` in this order: the first one's interface is eth0. */
export type NetworkSetting =
  | { mode: 'none' | 'host' }
  /** That of another container, whose name, id or start of one it is. */
  | { mode: 'container'; container: string }
  | { mode: 'bridge'; networks: AttachmentSetting[] };

export interface AttachmentSetting {
  /** Its name, or its id or the start of one. */
  network: string;
  aliases: string[];
  /** Absent: a free one. */
  address?: string;
}

/** What is undefined comes from the image. */
export interface HealthcheckSetting {
  /** `['NONE']`, `['CMD', …]` or `['CMD-SHELL', text]`. */
  test?: readonly string[];
  intervalMs?: number;
  timeoutMs?: number;
  startPeriodMs?: number;
  startIntervalMs?: number;
  retries?: number;
}
/** As Docker's `bind-recursive`. */
export type RecursiveBind = 'enabled' | 'disabled' | 'writable' | 'readonly';

export interface MountSetting {
  type: 'bind' | 'volume' | 'tmpfs';
  /** A bind's absolute path; a volume's name, absent for an anonymous one. */
  source?: string;
  target: string;
  /** As `docker run -v` does: a missing host folder is made. */
  createSource?: boolean;
  readOnly: boolean;
  /** Of a volume: what lies there is mounted. */
  subpath?: string;
  /** Of a volume: an empty one is not filled from the image. */
  noCopy?: boolean;
  /** Of a bind: how far it and its being read-only reach. Absent: to all that is mounted below. */
  recursive?: RecursiveBind;
  propagation?: string;
  sizeBytes?: number;
  mode?: number;
  /** Further options, as mount(8) has them: `noexec`. */
  options: string[];
}

/** The container whose mounts it gets too. */
export interface VolumesFromSetting {
  container: string;
  readOnly: boolean;
}

export interface FileSetting {
  path: string;
  content?: Uint8Array;
  source?: string;
  mode: number;
  uid: number;
  gid: number;
}

export interface DeviceSetting {
  source: string;
  target: string;
  permissions: string;
}
