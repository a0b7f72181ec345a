import type { Readable, Writable } from 'node:stream';

import { DinghyError } from '../errors';
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
  /** Its terminal has this size; of a container that does not run yet, from its start on. After the end it does nothing. */
  resize(size: TerminalSize): Promise<void>;
  /** Default SIGTERM; after the end it does nothing. */
  kill(signalName?: string): Promise<void>;
  /** Resolves when it has ended and its output is delivered. */
  wait(): Promise<WaitResult>;
}

/** A process that need not end with its streams: a container's first, or one that was spawned in it. */
export interface Attachment extends ContainerProcess {
  /** Ends the streams and leaves the process running. What a spawned one writes after that without a terminal is SIGPIPE's. */
  detach(): Promise<void>;
}

export function noTerminal(): DinghyError {
  return new DinghyError({
    code: 'ERR_INVALID_OPTION',
    message: 'resize: there is no terminal whose size could change; give the option tty',
    details: { option: 'tty' },
  });
}
