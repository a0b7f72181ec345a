import type { Readable, Writable } from 'node:stream';

import type { WaitResult } from './exec-result';
import type { TerminalSize } from './options';

/** A process in a container with live streams. An open stream keeps Node alive. */
export interface ContainerProcess extends AsyncDisposable {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Ends at once under a tty. */
  readonly stderr: Readable;
  /** The pid inside the container. */
  readonly pid: number;
  resize(size: TerminalSize): Promise<void>;
  /** Default SIGTERM; after the end it does nothing. */
  kill(signalName?: string): Promise<void>;
  /** Resolves when it has ended and its output is delivered. */
  wait(): Promise<WaitResult>;
}

/** The streams of a container's first process. */
export interface Attachment extends ContainerProcess {
  /** Ends the streams and leaves the container running. */
  detach(): Promise<void>;
}
