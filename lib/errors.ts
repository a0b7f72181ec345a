/**
 * Every code a DinghyError can carry. docs/errors.md explains each of them and a unit test compares the two; add a code
 * here, there, and to a test that provokes it.
 */
export const errorCodes = [
  'ABORT_ERR',
  'ERR_ADDON_MISSING',
  'ERR_ADDRESS_IN_USE',
  'ERR_AMBIGUOUS_ID',
  'ERR_ARCHIVE',
  'ERR_CLOSED',
  'ERR_COMMAND_NOT_EXECUTABLE',
  'ERR_COMMAND_NOT_FOUND',
  'ERR_CONTAINER_EXITED',
  'ERR_CONTAINER_NOT_FOUND',
  'ERR_CONTAINER_NOT_PAUSED',
  'ERR_CONTAINER_NOT_RUNNING',
  'ERR_CONTAINER_PAUSED',
  'ERR_CONTAINER_RUNNING',
  'ERR_CONTAINER_START',
  'ERR_DIGEST_MISMATCH',
  'ERR_EXIT_CODE',
  'ERR_FILE_NOT_FOUND',
  'ERR_FILE_TYPE',
  'ERR_HOST_UNSUPPORTED',
  'ERR_IMAGE_IN_USE',
  'ERR_IMAGE_NOT_FOUND',
  'ERR_INVALID_DIGEST',
  'ERR_INVALID_IMAGE',
  'ERR_INVALID_OPTION',
  'ERR_INVALID_REFERENCE',
  'ERR_LAYER',
  'ERR_NAME_IN_USE',
  'ERR_NETWORK_IN_USE',
  'ERR_NETWORK_NOT_FOUND',
  'ERR_NOT_IMPLEMENTED',
  'ERR_NO_SPACE',
  'ERR_OUTPUT_LOST',
  'ERR_PLATFORM_NOT_FOUND',
  'ERR_PORT_IN_USE',
  'ERR_PORT_NOT_PUBLISHED',
  'ERR_READ_ONLY',
  'ERR_REGISTRY',
  'ERR_REGISTRY_AUTH',
  'ERR_REGISTRY_RATE_LIMITED',
  'ERR_REGISTRY_UNREACHABLE',
  'ERR_REGISTRY_UNSAFE',
  'ERR_REUSE_MISMATCH',
  'ERR_STORE',
  'ERR_SUBNET_IN_USE',
  'ERR_SUPERVISOR',
  'ERR_SUPERVISOR_VERSION',
  'ERR_TIMEOUT',
  'ERR_UNSUPPORTED_IMAGE',
  'ERR_VOLUME_IN_USE',
  'ERR_VOLUME_NOT_FOUND',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface DinghyErrorOptions {
  code: ErrorCode;
  /** Lower case, no full stop: what failed, why, and what a person can do. Never credentials. */
  message: string;
  step?: string;
  exitCode?: number;
  logTail?: string;
  stdout?: string | Buffer;
  stderr?: string | Buffer;
  result?: unknown;
  details?: Record<string, unknown>;
  cause?: unknown;
}

// A registered symbol is the same one in every copy of this package and in every realm (Jest gives each test file its own).
const brand = Symbol.for('dinghy.DinghyError');

/** The one error class of this library. Branch on `code`; two copies of a package defeat `instanceof`. */
export class DinghyError extends Error {
  override readonly name: string;
  readonly code: ErrorCode;
  /** The step of the set-up that failed: `pivot_root`, `mount /proc`, `bind port`. */
  declare readonly step?: string;
  /** 125, 126 or 127 where a start failed, as Docker's command line would exit. */
  declare readonly exitCode?: number;
  /** The last lines of a container's log, where somebody waited for it. */
  declare readonly logTail?: string;
  /** What had been collected before an abort or a time-out. */
  declare readonly stdout?: string | Buffer;
  declare readonly stderr?: string | Buffer;
  /** The whole ExecResult under `ERR_EXIT_CODE`. */
  declare readonly result?: unknown;
  declare readonly details?: Record<string, unknown>;
  /** Node-shaped `{code, errno, syscall, path}` where the kernel said no; an abort's reason. */
  declare readonly cause?: unknown;

  constructor(options: DinghyErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = options.code === 'ABORT_ERR' ? 'AbortError' : 'DinghyError';
    this.code = options.code;
    Object.defineProperty(this, brand, { value: true });
    Object.defineProperty(this, 'name', { enumerable: false });
    for (const key of optionalKeys) {
      if (options[key] !== undefined) {
        Object.defineProperty(this, key, { value: options[key], enumerable: true });
      }
    }
  }
}

const optionalKeys = ['step', 'exitCode', 'logTail', 'stdout', 'stderr', 'result', 'details'] as const;

/** True for a DinghyError of any copy of this package and any realm. */
export function isDinghyError(value: unknown): value is DinghyError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true;
}
