import { Socket, type SocketConstructorOpts } from 'node:net';

import { DinghyError } from '../errors';
import { closeFd, exitStatus, socketpair } from '../native/binding';
import type { ControlEvent } from '../native/control';
import { errnoName, systemError } from '../native/errno';
import type { ProtocolError } from '../native/protocol';
import { PipeEnd } from '../native/pipe-ends';
import { startTask, type Task } from '../native/task';
import { abortError, Ending, onAbort, sleep, throwIfAborted } from '../util/abort';
import { unpackLimitNames } from './unpack-limits';

export interface LayerProcessOptions {
  op: 'unpack' | 'extract' | 'mend' | 'squash' | 'inflate' | 'compare';
  fields: Record<string, unknown>;
  /** Written to the process's stdin, at its pace; or the end of a pipe that it reads itself, which is closed here then. */
  input: LayerInput;
  /** Its stdout; stays open here. */
  outputFd?: number;
  /** Passed on to the process, so that the folder stays locked while it writes there; `extract` asks for its container's. */
  lockFd?: number;
  onEvent?: (event: ControlEvent) => void;
  signal?: AbortSignal;
}

export type LayerInput = AsyncIterable<Buffer> | Iterable<Buffer> | PipeEnd;

export type LayerReply = { ok: true; [field: string]: unknown } | { ok: false; error: ProtocolError };

/**
 * One process of the binary's unpack mode has done one request, and is gone: nobody writes any more.
 * @throws ABORT_ERR, ERR_SUPERVISOR, and what the input throws
 */
export async function runLayerProcess(options: LayerProcessOptions): Promise<LayerReply> {
  const { op, signal, input } = options;
  const { task, writer } = startProcess(options);
  const { control, pid } = task;
  // The end of its control connection is the end of the process.
  const release = onAbort(signal, () => control.close());
  try {
    const reply = control.request(op, options.fields);
    if (writer && !(input instanceof PipeEnd)) {
      const answered = reply.then(
        () => undefined,
        () => undefined,
      );
      await pump(input, writer, answered, signal);
    }
    return await reply;
  } catch (error) {
    throw signal?.aborted ? abortError(signal) : error;
  } finally {
    release();
    writer?.destroy();
    control.close();
    await processEnd(pid);
  }
}

/** The process, and what writes to its stdin unless it reads from a pipe. */
function startProcess({ input, ...options }: LayerProcessOptions): { task: Task; writer?: Socket } {
  const start = (stdin: number): Task =>
    startTask('unpack', {
      stdio: [stdin, options.outputFd ?? null, null],
      extraFds: options.lockFd === undefined ? [] : [options.lockFd],
      ...(options.onEvent ? { onEvent: options.onEvent } : {}),
    });
  if (input instanceof PipeEnd) {
    try {
      return { task: start(input.fd) };
    } finally {
      input.close();
    }
  }
  const [ours, theirs] = socketpair();
  const writer = new Socket({
    fd: ours,
    readable: false,
    writable: true,
    writableHighWaterMark: 1048576,
  } as SocketConstructorOpts);
  writer.on('error', () => undefined); // the process tells by its reply why it stopped reading
  try {
    return { task: start(theirs), writer };
  } catch (error) {
    writer.destroy();
    throw error;
  } finally {
    closeFd(theirs);
  }
}

/** The typed error for what the process could not do. `doing`: `unpack the layer sha256:…`. */
export function layerError(error: ProtocolError, doing: string, details: Record<string, unknown>): DinghyError {
  const { step, errno, message, path } = error;
  const name = errno > 0 ? errnoName(errno) : undefined;
  const full = name === 'ENOSPC' || name === 'EDQUOT';
  const limit = unpackLimitNames.find((each) => step === `limit ${each}`);
  const cure = full
    ? ': free some space'
    : limit
      ? `: if you trust the image, raise it with new Runtime({ unpackLimits: { ${limit}: … } })`
      : '';
  return new DinghyError({
    code: full ? 'ERR_NO_SPACE' : step === 'verify' ? 'ERR_DIGEST_MISMATCH' : 'ERR_LAYER',
    message: `cannot ${doing}: ${step}: ${message}${path ? ` (${path})` : ''}${cure}`,
    step,
    details: { ...details, ...(limit ? { limit } : {}), ...(path ? { path } : {}) },
    ...(errno > 0 ? { cause: systemError(errno, step, path) } : {}),
  });
}

/** Writes all bytes, at the reader's pace; ends early, without an error, when `stopped` settles. */
async function pump(
  source: AsyncIterable<Buffer> | Iterable<Buffer>,
  input: Socket,
  stopped: Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const iterator: AsyncIterator<Buffer> | Iterator<Buffer> =
    Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  // A source may fall silent for ever; that must not keep an answer or an abort from being heard.
  const over = new Ending();
  void stopped.then(() => over.end());
  const release = onAbort(signal, () => over.end());
  let whole = false;
  try {
    for (;;) {
      const next = await over.wait(Promise.resolve(iterator.next()));
      throwIfAborted(signal);
      whole = next?.done === true;
      if (!next || next.done || input.destroyed) {
        return;
      }
      if (!input.write(next.value)) {
        await over.wait(drained(input));
        throwIfAborted(signal);
      }
    }
  } finally {
    release();
    if (whole) {
      input.end();
    } else {
      void Promise.resolve(iterator.return?.()).catch(() => undefined);
    }
  }
}

function drained(input: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      input.off('drain', done);
      input.off('close', done);
      resolve();
    };
    input.on('drain', done);
    input.on('close', done);
  });
}

/** Resolves when the process has ended: nobody has its descriptors any more. */
export async function processEnd(pid: number): Promise<void> {
  for (let pauseMs = 1; exitStatus(pid) === undefined; pauseMs = Math.min(20, pauseMs * 2)) {
    await sleep(pauseMs);
  }
}
