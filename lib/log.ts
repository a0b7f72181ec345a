import type Debug from 'debug';

/** Writes one debug line; printf-style as the `debug` package has it. Never pass credentials. */
export interface Log {
  (format: string, ...values: unknown[]): void;
  /** False when nobody listens: skip work that only feeds the log. */
  readonly enabled: boolean;
}

const silent: Log = Object.assign(() => undefined, { enabled: false });

// Decided once, when the module loads: without DEBUG the package costs nothing, and with it there's no require left for the
// close path, which Jest would forbid after its teardown.
const createDebug = process.env['DEBUG'] ? (require('debug') as typeof Debug) : undefined;

/** The log of one area, shown under `DEBUG=dinghy:<area>` or `DEBUG=dinghy:*`. */
export function createLog(area: string): Log {
  return createDebug ? createDebug(`dinghy:${area}`) : silent;
}
