import { closeFd, type NativeMode, socketpair, spawn } from './binding';
import { type ControlEvent, ControlConnection } from './control';
import type { Reply } from './protocol';

export interface TaskOptions {
  /** Descriptors 0, 1 and 2 of the process; null is /dev/null. They stay open here. */
  stdio?: readonly [number | null, number | null, number | null];
  /** Descriptors 4 and up. */
  extraFds?: readonly number[];
  newPidNamespace?: boolean;
  hold?: boolean;
  onEvent?: (event: ControlEvent) => void;
}

/** A process of the binary in `mode`, and the connection to it. The caller closes the connection, which ends the one-shot modes. */
export function startTask(mode: NativeMode, options: TaskOptions = {}): { pid: number; control: ControlConnection } {
  const [ours, theirs] = socketpair();
  let pid: number;
  try {
    const fds = [...(options.stdio ?? [null, null, null]), theirs, ...(options.extraFds ?? [])];
    pid = spawn({ mode, fds, newPidNamespace: options.newPidNamespace }).pid;
  } catch (error) {
    closeFd(ours);
    throw error;
  } finally {
    closeFd(theirs);
  }
  return { pid, control: ControlConnection.fromDescriptor(ours, { hold: options.hold, onEvent: options.onEvent }) };
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
