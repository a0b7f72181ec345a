import type { Readable, Writable } from 'node:stream';

import type { Runtime } from '../index';

/** A stream that may be a terminal: what a command writes to. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };

/** What a command gets from the world; the tests give another one. */
export interface Context {
  /** Made when first asked for: `dinghy --help` needs none. */
  runtime(): Runtime;
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Until the returned function is called, every signal a user can send this process goes to `listener` instead. */
  onSignals(listener: (signal: NodeJS.Signals) => void): () => void;
  now(): Date;
}

/** A command ended with this status and has nothing more to say. */
export class ExitStatus extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit ${status}`);
    this.status = status;
  }
}

/** The user typed something this command cannot take. Docker exits with 125 from run, create and exec, and with 1 elsewhere. */
export class UsageError extends Error {}
