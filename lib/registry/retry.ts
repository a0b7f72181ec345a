/** How often and how long to wait for a server that says "not now". */
export interface RetryPolicy {
  tries: number;
  baseMs: number;
  capMs: number;
  /** A server that asks for more patience than this is given up on. */
  maxServerWaitMs: number;
}

export const defaultRetry: RetryPolicy = { tries: 5, baseMs: 2000, capMs: 60_000, maxServerWaitMs: 180_000 };

/** Answers that another try may change. */
export function isRetryableStatus(status: number): boolean {
  return status === 408 || status === 429 || status === 500 || status === 502 || status === 503 || status === 504;
}

// A refused connection or an unknown name is told at once: another second does not start a registry.
const passing = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ERR_STREAM_PREMATURE_CLOSE', 'ENETDOWN', 'EHOSTUNREACH']);

export function isRetryableNetworkError(code: string | undefined): boolean {
  return code !== undefined && passing.has(code);
}

/**
 * Milliseconds to wait before try number `attempt` (the first repetition is 1): what Retry-After says, in seconds or as a date,
 * else doubling with up to a tenth of jitter, so that many clients don't come back together. Undefined: give up.
 */
export function retryDelayMs(
  policy: RetryPolicy,
  attempt: number,
  retryAfter?: string,
  now = Date.now(),
): number | undefined {
  if (attempt >= policy.tries) {
    return undefined;
  }
  const asked = parseRetryAfter(retryAfter, now);
  if (asked !== undefined) {
    return asked <= policy.maxServerWaitMs ? asked : undefined;
  }
  const delay = Math.min(policy.capMs, policy.baseMs * 2 ** (attempt - 1));
  return delay * (1 + Math.random() * 0.1);
}

function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) {
    return undefined;
  }
  if (/^\s*\d+\s*$/.test(value)) {
    return Number(value) * 1000;
  }
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
