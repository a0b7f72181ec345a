import type { RestartOption } from './options';
import type { HealthStatus, PortBinding } from './state';

export type ContainerStatus = 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead';

export interface NetworkEndpoint {
  /** With prefix: `172.30.0.2/16`. */
  address?: string;
  address6?: string;
  gateway?: string;
  mac?: string;
  aliases: string[];
}

export interface ContainerHealth {
  status: HealthStatus;
  /** Failures since it was last well. */
  failingStreak: number;
  /** The last five probes, the oldest first. */
  log: HealthProbe[];
}

export interface HealthProbe {
  start: Date;
  end: Date;
  /** 0: well; -1: it could not be run, or took too long. */
  exitCode: number;
  /** The first 4096 bytes of both streams. */
  output: string;
}

export interface ContainerInspect {
  id: string;
  name: string;
  image: string;
  imageId: string;
  /** `exited` with an exit code of null: its supervisor was killed, so nobody saw it end. */
  status: ContainerStatus;
  pid?: number;
  exitCode?: number | null;
  signal?: NodeJS.Signals | null;
  oomKilled: boolean;
  /** How many processes of its last run the kernel killed for want of memory, whether or not that ended it. */
  oomKills: number;
  error?: string;
  created: Date;
  startedAt?: Date;
  finishedAt?: Date;
  /** How often its policy has started it since somebody did. */
  restartCount: number;
  restart: RestartOption;
  detached: boolean;
  command: string[];
  workdir: string;
  user: string;
  env: Record<string, string>;
  labels: Record<string, string>;
  hostname: string;
  tty: boolean;
  ports: PortBinding[];
  mounts: { type: 'bind' | 'volume' | 'tmpfs'; name?: string; source?: string; target: string; readOnly: boolean }[];
  limits: { memory?: number; memorySwap?: number; cpus?: number; cpuShares?: number; cpuset?: string; pids?: number };
  /** Absent without a health check. Of one that has ended: unhealthy. */
  health?: ContainerHealth;
  networks: Record<string, NetworkEndpoint>;
  stopSignal: string;
  stopTimeoutMs: number;
  logPath: string;
  /** Bytes of output that a full disk did not take. */
  logLost: number;
}
