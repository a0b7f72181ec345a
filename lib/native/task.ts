import { writeSync } from 'node:fs';

import { closeFd, type NativeMode, socketpair, spawn } from './binding';
import { type ControlEvent, ControlConnection, type ControlRequest, Opening } from './control';
import type { Reply } from './protocol';

/** How a process of the binary is started. */
export interface ProcessOptions {
  /** Descriptors 0, 1 and 2 of the process; null is /dev/null. They stay open here. */
  stdio?: readonly [number | null, number | null, number | null];
  /** Descriptors 4 and up. */
  extraFds?: readonly number[];
  newPidNamespace?: boolean;
}

/** How the connection to it begins. */
export interface OpeningOptions {
  hold?: boolean;
  /** What it is asked first. Together at most 64 KiB: a socket that nobody reads yet takes no more for sure. */
  requests?: readonly ControlRequest[];
  onEvent?: (event: ControlEvent) => void;
}

export interface Task {
  pid: number;
  control: ControlConnection;
  /** To `requests`, in their order. */
  replies: Promise<Reply>[];
}

/** A process of the binary that was told nothing yet: it gets ready meanwhile, on another processor. Open it, or abandon it. */
export class WaitingTask {
  readonly pid: number;
  readonly #fd: number;

  constructor(mode: NativeMode, options: ProcessOptions) {
    ({ pid: this.pid, fd: this.#fd } = spawnWithSocket(mode, options));
  }

  open(options: OpeningOptions): Task {
    const opening = new Opening(options, options.requests);
    writeSync(this.#fd, opening.bytes);
    return { pid: this.pid, ...ControlConnection.fromDescriptor(this.#fd, opening, options) };
  }

  /** It ends. */
  abandon(): void {
    closeFd(this.#fd);
  }
}

/**
 * A process of the binary in `mode`, and the connection to it. The caller closes the connection, which ends the one-shot modes.
 * Its first requests lie in its socket when it starts: it need not wait until this process comes to write them.
 */
export function startTask(mode: NativeMode, options: ProcessOptions & OpeningOptions = {}): Task {
  const opening = new Opening(options, options.requests);
  const { pid, fd } = spawnWithSocket(mode, options, opening.bytes);
  return { pid, ...ControlConnection.fromDescriptor(fd, opening, options) };
}

/** `said` is in the process's socket before it starts; `fd` is the other end. */
function spawnWithSocket(mode: NativeMode, options: ProcessOptions, said?: Buffer): { pid: number; fd: number } {
  const [ours, theirs] = socketpair();
  try {
    if (said) {
      writeSync(ours, said);
    }
    const fds = [...(options.stdio ?? [null, null, null]), theirs, ...(options.extraFds ?? [])];
    return { pid: spawn({ mode, fds, newPidNamespace: options.newPidNamespace }).pid, fd: ours };
  } catch (error) {
    closeFd(ours);
    throw error;
  } finally {
    closeFd(theirs);
  }
}

/** One request to one process of a one-shot mode: its answer, good or bad. The process has ended or is about to. */
export async function runTask(mode: NativeMode, op: string, fields: Record<string, unknown>): Promise<Reply> {
  const { control } = startTask(mode);
  try {
    return await control.request(op, fields);
  } finally {
    control.close();
  }
}
