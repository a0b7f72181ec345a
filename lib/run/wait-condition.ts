/** Something listens on this port inside the container; read in /proc from outside, so no shell is needed. */
export interface PortCondition {
  port: number | string;
}

/** A line of the log contains the string or matches, `times` times (default 1) since this start. */
export interface LogCondition {
  log: string | RegExp;
  times?: number;
}

/** A GET of the published port answers with `status` (default: any 2xx or 3xx). */
export interface HttpCondition {
  http: { port: number | string; path?: string; status?: number; tls?: boolean };
}

export interface HealthyCondition {
  healthy: true;
}

/** The command, run in the container, exits with 0. */
export interface ExecCondition {
  exec: string[];
}

export type WaitCondition = PortCondition | LogCondition | HttpCondition | HealthyCondition | ExecCondition;
