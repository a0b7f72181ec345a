/** How a process in a container ended, and what it wrote. */
export interface ExecResult<Output extends string | Buffer = string> {
  /** 128+n when a signal ended it. */
  exitCode: number;
  /** The signal's name, or null. */
  signal: NodeJS.Signals | null;
  stdout: Output;
  stderr: Output;
  durationMs: number;
  oomKilled: boolean;
  /** More was written than `maxOutputBytes` kept, in either stream. */
  truncated: boolean;
}

/** How a container ended. */
export interface WaitResult {
  /** 128+n when a signal ended it; null when nobody saw it end (its supervisor was killed): never a made-up 0. */
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  oomKilled: boolean;
  /** Why it could not start or how its supervisor failed. */
  error?: string;
}
