import { setMaxListeners } from 'node:events';

import { createLog } from '../log';
import { abortError, onAbort } from '../util/abort';
import type { Lease } from './lease';
import type { Store } from './store';

const log = createLog('store');

/** What brings content into the store works with. */
export interface Adding {
  /** Keeps it until something names it. */
  lease: Lease;
  /** To be told the digests of what comes. */
  added: Set<string>;
  /** Fires when the caller aborts, or when something of the work has failed. */
  signal: AbortSignal;
}

/**
 * Runs `work`, and when it fails or is aborted takes back what it added and nobody else needs. What it throws is the reason of
 * `failing`, if that was aborted: the failure that came first, or the caller's abort.
 */
export async function addContent<T>(
  store: Store,
  failing: AbortController,
  signal: AbortSignal | undefined,
  work: (adding: Adding) => Promise<T>,
): Promise<T> {
  setMaxListeners(0, failing.signal); // one for each request and lock of each layer
  const lease = await store.lease();
  const stopListening = onAbort(signal, () => failing.abort(abortError(signal!)));
  const added = new Set<string>();
  try {
    return await work({ lease, added, signal: failing.signal });
  } catch (error) {
    await lease.release();
    await store.collect({ only: added }).catch((reason: unknown) => log('left what was added: %s', reason));
    throwReason(failing.signal);
    throw error;
  } finally {
    await lease.release();
    stopListening();
  }
}

/** The reason of an abort of ours is the error itself. */
export function throwReason(signal: AbortSignal): void {
  if (signal.aborted) {
    throw signal.reason;
  }
}
