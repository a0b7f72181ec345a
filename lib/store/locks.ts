import { closeSync, fstatSync, openSync } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';

import { flock } from '../native/binding';
import { abortable, sleep, throwIfAborted } from '../util/abort';

export type LockMode = 'exclusive' | 'shared';

/** A lock that is held until it's released, or this process ends however it ends. Releasing twice is once. */
export interface HeldLock {
  /** The open file: a descriptor of it that is passed to another process keeps the lock. */
  readonly fd: number;
  release(): Promise<void>;
}

const firstPauseMs = 2;
const longestPauseMs = 50;

/** Who is next for a path, in this process: each waits for the promise of the one before. */
const queues = new Map<string, Promise<unknown>>();

/**
 * The lock file at `path`, made if need be, is locked (flock(2)). Waiting happens in JavaScript: first in a queue of this
 * process, then by asking the kernel again and again, since a flock that waits in libuv's pool would occupy a thread, and as many
 * waiters as there are threads would keep the one that holds it from ever writing what it wants to write.
 * @throws ABORT_ERR, and what open(2) says
 */
export async function acquireLock(path: string, mode: LockMode = 'exclusive', signal?: AbortSignal): Promise<HeldLock> {
  const leave = await enterQueue(path, signal);
  try {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
      throwIfAborted(signal);
      const lock = await tryLock(path, mode);
      if (lock) {
        return lock;
      }
      await sleep(pauseMs * (0.75 + Math.random() / 2), signal);
    }
  } finally {
    // Only the asking is in turn. Who holds it is the kernel's business: shared ones may be many.
    leave();
  }
}

/** The lock, or undefined when somebody (of this process or another) holds a conflicting one. */
export async function tryLock(path: string, mode: LockMode = 'exclusive'): Promise<HeldLock | undefined> {
  for (;;) {
    const file = await open(path, 'a', 0o600);
    let locked = false;
    try {
      locked = flock(file.fd, mode);
      if (!locked) {
        return undefined;
      }
      if (hasName(file.fd)) {
        return heldLock(file);
      }
      locked = false; // the lock of a file that was removed meanwhile: others lock the one that has the name now
    } finally {
      if (!locked) {
        await file.close();
      }
    }
  }
}

function hasName(fd: number): boolean {
  return fstatSync(fd).nlink > 0;
}

/** The lock file is gone, unless somebody holds it. Who waits for it locks a new one of that name. */
export async function removeLock(path: string): Promise<void> {
  const lock = await tryLock(path);
  if (!lock) {
    return;
  }
  try {
    await unlink(path);
  } finally {
    await lock.release();
  }
}

/** As `tryLock`, at once: for the few microseconds that a start can spare. */
export function tryLockNow(path: string, mode: LockMode): { release: () => void } | undefined {
  const fd = openSync(path, 'a', 0o600);
  let locked = false;
  try {
    locked = flock(fd, mode);
  } finally {
    if (!locked) {
      closeSync(fd);
    }
  }
  return locked ? { release: () => closeSync(fd) } : undefined;
}

/** Whether anybody holds the lock. The test takes it for an instant, shared: who wants it exclusively tries again. */
export function isLocked(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return false;
  }
  try {
    return !flock(fd, 'shared');
  } finally {
    closeSync(fd);
  }
}

/** Runs `work` while holding the lock. */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options: { mode?: LockMode; signal?: AbortSignal } = {},
): Promise<T> {
  const lock = await acquireLock(path, options.mode, options.signal);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

export function heldLock(file: FileHandle): HeldLock {
  let released: Promise<void> | undefined;
  return {
    fd: file.fd,
    // Closing drops the lock, unless a child process still has the file open: then it is the child's, as intended.
    release: () => (released ??= file.close()),
  };
}

async function enterQueue(path: string, signal: AbortSignal | undefined): Promise<() => void> {
  const before = queues.get(path);
  let leave = (): void => undefined;
  const done = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const turn = (before ?? Promise.resolve()).then(() => done);
  queues.set(path, turn);
  void turn.then(() => {
    if (queues.get(path) === turn) {
      queues.delete(path);
    }
  });
  try {
    await abortable(before ?? Promise.resolve(), signal);
  } catch (error) {
    leave();
    throw error;
  }
  return leave;
}
