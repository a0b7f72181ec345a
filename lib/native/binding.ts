// The whole native surface, typed; the one file that loads the addon.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { packageRoot } from '../util/package-root';
import { systemError } from './errno';

/** The roles of the `dinghy-supervisor` binary that Node starts. */
export type NativeMode = 'supervise' | 'join' | 'unpack' | 'pack' | 'clean' | 'probe' | 'seccomp';

export interface SpawnOptions {
  mode: NativeMode;
  /** Becomes descriptors 0, 1, 2 … of the process, in this order; `null` is /dev/null. They stay open here. At most 16. */
  fds: readonly (number | null)[];
  /** The process is PID 1 of a new pid namespace, so that its death ends all that it started. Needs CAP_SYS_ADMIN. */
  newPidNamespace?: boolean;
}

export interface ExitStatus {
  /** Null when a signal ended it. */
  exitCode: number | null;
  /** The signal's number, or null. */
  signal: number | null;
}

export type FlockOperation = 'exclusive' | 'shared' | 'unlock';

interface NativeFailure {
  errno: number;
  syscall: string;
  path?: string;
}

interface Addon {
  spawn(mode: string, fds: number[], newPidNamespace: boolean): number | NativeFailure;
  exitStatus(pid: number): ExitStatus | undefined;
  socketpair(): [number, number] | NativeFailure;
  pipe(): [number, number] | NativeFailure;
  flock(fd: number, operation: FlockOperation): boolean | NativeFailure;
  closeFd(fd: number): undefined | NativeFailure;
  stats(): AddonStats;
}

/** What the addon holds for the whole process, however often it was loaded: for tests and for `info()`. */
export interface AddonStats {
  /** How the binary is kept from being written by a container: nothing yet, a read-only overlay, or a sealed copy. */
  seal: 'none' | 'overlay' | 'memfd';
  /** Processes that were started and not yet waited for. */
  children: number;
}

/**
 * The binary runs in `mode` with exactly the given descriptors, an empty environment, default signal dispositions, in a session
 * of its own. It was cloned with no exit signal: Node's SIGCHLD handling never sees it, and the addon waits for it, so that no
 * zombie stays. Blocks for about 0.2 ms.
 *
 * @returns its pid as this process sees it: for messages; liveness is told by the control socket
 * @throws a Node-shaped error (EPERM for `newPidNamespace` without the right; ENOENT when the binary is missing)
 */
export function spawn(options: SpawnOptions): { pid: number } {
  const fds = options.fds.map((fd) => fd ?? -1);
  return { pid: checked(addon().spawn(options.mode, fds, options.newPidNamespace ?? false)) };
}

/** How a process that `spawn` started ended, if it has; remembered for the last 1024. */
export function exitStatus(pid: number): ExitStatus | undefined {
  return addon().exitStatus(pid);
}

/**
 * A connected AF_UNIX stream pair, both close-on-exec. The caller closes each: by wrapping it in a net.Socket, or `closeFd`.
 *
 * @throws a Node-shaped error (EMFILE)
 */
export function socketpair(): [number, number] {
  return checked(addon().socketpair());
}

/**
 * A pipe, `[read end, write end]`, both close-on-exec. The stdio of a container's process is made of these and not of sockets, on
 * which `echo text > /dev/stderr` fails with ENXIO. The caller closes each end.
 *
 * @throws a Node-shaped error (EMFILE)
 */
export function pipe(): [number, number] {
  return checked(addon().pipe());
}

/**
 * Applies or drops a flock(2) on the open file of `fd`, without waiting. It belongs to the open file, not to the process: a
 * descriptor that is passed on keeps it.
 *
 * @returns false when somebody else holds a conflicting one
 * @throws a Node-shaped error (ENOLCK, EBADF)
 */
export function flock(fd: number, operation: FlockOperation): boolean {
  return checked(addon().flock(fd, operation));
}

/** `fd` is closed. @throws a Node-shaped error (EBADF) */
export function closeFd(fd: number): void {
  checked(addon().closeFd(fd));
}

export function addonStats(): AddonStats {
  return addon().stats();
}

let loaded: Addon | undefined;

function addon(): Addon {
  loaded ??= load();
  return loaded;
}

function load(): Addon {
  const tried: unknown[] = [];
  for (const candidate of candidates()) {
    try {
      return require(candidate) as Addon;
    } catch (error) {
      tried.push(error);
    }
  }
  const platform = `${process.platform}-${process.arch}`;
  throw new DinghyError({
    code: 'ERR_ADDON_MISSING',
    message:
      `the native part for ${platform} cannot be loaded: install the optional package @dinghy/${platform} ` +
      '(npm install without --omit=optional), or run "npm run build" in a source checkout',
    cause: tried.at(-1),
  });
}

// An addon built here goes before an installed one, but only where there is one: a
// file that exists and fails to load is the error worth showing.
function candidates(): string[] {
  const top = packageRoot();
  const built = [join(top, 'addon', 'build', 'Release', 'dinghy.node'), join(top, 'build', 'Release', 'dinghy.node')];
  const present = built.filter((path) => existsSync(path));
  return present.length > 0 ? present : [`@dinghy/${process.platform}-${process.arch}/dinghy.node`];
}

// The addon returns failures as records: the error is made here, with a JavaScript stack and in the realm of the caller (Jest).
function checked<T>(result: T | NativeFailure): T {
  if (typeof result === 'object' && result !== null && 'syscall' in result) {
    throw systemError(result.errno, result.syscall, result.path);
  }
  return result;
}
