import { DinghyError } from '../errors';

export interface CollectedOutput {
  stdout?: string | Buffer;
  stderr?: string | Buffer;
}

/** The error every aborted call rejects with; `cause` is the signal's reason. */
export function abortError(signal: AbortSignal, output: CollectedOutput = {}): DinghyError {
  return new DinghyError({
    code: 'ABORT_ERR',
    message: 'the operation was aborted',
    cause: signal.reason,
    ...output,
  });
}

/** @throws ABORT_ERR when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw abortError(signal);
  }
}

/** Runs `listener` once when the signal fires (at once if it has); the returned function takes it off again. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (!signal) {
    return () => undefined;
  }
  if (signal.aborted) {
    listener();
    return () => undefined;
  }
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** Settles as `promise` does, or rejects with ABORT_ERR as soon as the signal fires; the work itself is not stopped. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) {
    return promise;
  }
  let release = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    release = onAbort(signal, () => reject(abortError(signal)));
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    release();
  }
}

/**
 * Lets a loop wait for one thing after the other and hear meanwhile that it is over. A `Promise.race` at each turn with the same
 * promise would hang a reaction on that one every time, and keep them all.
 */
export class Ending {
  #over = false;
  #wake = (): void => undefined;

  /** What is waited for now, and what will be, is undefined. */
  end(): void {
    this.#over = true;
    this.#wake();
  }

  /** What `promise` gives, or undefined as soon as it is over. One at a time. */
  wait<T>(promise: PromiseLike<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#wake = () => resolve(undefined);
      promise.then(resolve, reject);
      if (this.#over) {
        this.#wake();
      }
    });
  }
}

/** Resolves after `milliseconds`; rejects with ABORT_ERR when the signal fires first. Keeps Node alive meanwhile. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let release = (): void => undefined;
    const timer = setTimeout(() => {
      release();
      resolve();
    }, milliseconds);
    release = onAbort(signal, () => {
      clearTimeout(timer);
      reject(abortError(signal!));
    });
  });
}

/** What `source` gives, as bytes. While it gives nothing the signal is heeded; afterwards `source` is let go. @throws ABORT_ERR */
export async function* abortableChunks(
  source: AsyncIterable<Buffer | string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const chunks = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await abortable(chunks.next(), signal);
      if (next.done) {
        return;
      }
      yield typeof next.value === 'string' ? Buffer.from(next.value) : next.value;
    }
  } finally {
    // Not waited for: it may be in the middle of a read that never ends.
    void chunks.return?.().catch(() => undefined);
  }
}
