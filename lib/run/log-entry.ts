export interface LogEntry<Line extends string | Buffer = string> {
  stream: 'stdout' | 'stderr';
  time: Date;
  /** Without its newline; under `encoding: 'buffer'` the exact bytes. */
  line: Line;
  /** A piece of a line over 16 KiB, or what there is of a line that has no newline yet: more of it may follow. */
  partial: boolean;
  /** The time with its nanoseconds, RFC 3339. */
  timestamp: string;
  /** Which run of the container wrote it: 1 for its first start, 2 after a restart, and so on. */
  run: number;
  /** So many bytes of this stream are missing before this line, which the disk had no room for. */
  lost?: number;
}

export interface LogOptions {
  follow?: boolean;
  /** Only the last lines. */
  tail?: number;
  since?: Date | number;
  until?: Date | number;
  stdout?: boolean;
  stderr?: boolean;
  encoding?: 'utf8' | 'buffer';
  signal?: AbortSignal;
}
