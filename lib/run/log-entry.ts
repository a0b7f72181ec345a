export interface LogEntry<Line extends string | Buffer = string> {
  stream: 'stdout' | 'stderr';
  time: Date;
  /** Without its newline; under `encoding: 'buffer'` the exact bytes. */
  line: Line;
  /** A piece of a line over 16 KiB, or a last line without a newline: more of it may follow. */
  partial: boolean;
  /** Which run of the program wrote it: 1 the first, one more with each start and restart. */
  run: number;
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
