import { abortable } from '../util/abort';

/**
 * One piece of work for many who want its result. It's started by the first, and ended when the last of those waiting has been
 * aborted, so that one caller's abort neither fails the others nor leaves work behind that nobody waits for.
 */
export class SharedTask<T> {
  readonly #controller = new AbortController();
  readonly #promise: Promise<T>;
  #waiting = 0;
  #settled = false;

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#promise = work(this.#controller.signal).finally(() => {
      this.#settled = true;
    });
    this.#promise.catch(() => undefined); // told to those who wait; there may be none left
  }

  /** True when nobody can join any more. */
  get ended(): boolean {
    return this.#controller.signal.aborted;
  }

  async wait(signal?: AbortSignal): Promise<T> {
    this.#waiting++;
    try {
      return await abortable(this.#promise, signal);
    } finally {
      this.#waiting--;
      if (this.#waiting === 0 && !this.#settled) {
        this.#controller.abort();
      }
    }
  }
}
