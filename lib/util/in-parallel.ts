import { throwIfAborted } from './abort';

/** Runs the work of all items, a few at a time. The first failure aborts the others; it's thrown when all have ended. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  failing: AbortController,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      throwIfAborted(failing.signal);
      try {
        await work(item);
      } catch (error) {
        failing.abort(error); // the first reason stays
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: width }, worker));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) {
    throw failed.reason;
  }
}
