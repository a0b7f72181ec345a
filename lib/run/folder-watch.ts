import { type FSWatcher, watch } from 'node:fs';

import { onAbort } from '../util/abort';

/** Without inotify (its watches are limited by user), and in case the folder was made anew. */
const pollMs = { watching: 1000, blind: 100 };

/** Tells when something in a folder changes. It keeps Node alive only while somebody waits. */
export class FolderWatch {
  #watcher: FSWatcher | undefined;
  #version = 0;
  #wakers = new Set<() => void>();

  constructor(folder: string) {
    try {
      this.#watcher = watch(folder, () => this.#wake());
      this.#watcher.unref();
      this.#watcher.on('error', () => this.close());
    } catch {
      this.#watcher = undefined;
    }
  }

  /** Grows with each change: taken before one looks, it tells `changed` what was missed meanwhile. */
  get version(): number {
    return this.#version;
  }

  /** Resolves at the first change after `version`, at `deadlineMs` (of the wall clock), when the signal fires, or a little later. */
  async changed(version: number, deadlineMs: number, signals: readonly (AbortSignal | undefined)[]): Promise<void> {
    if (this.#version !== version) {
      return;
    }
    const longestMs = this.#watcher ? pollMs.watching : pollMs.blind;
    const waitMs = Math.max(0, Math.min(longestMs, deadlineMs - Date.now()));
    const unhook: (() => void)[] = [];
    let waker = (): void => undefined;
    await new Promise<void>((resolve) => {
      waker = resolve;
      this.#wakers.add(waker);
      const timer = setTimeout(resolve, waitMs);
      unhook.push(() => clearTimeout(timer), ...signals.map((signal) => onAbort(signal, resolve)));
    });
    unhook.forEach((each) => each());
    this.#wakers.delete(waker);
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#wake();
  }

  #wake(): void {
    this.#version++;
    const wakers = [...this.#wakers];
    this.#wakers.clear();
    wakers.forEach((wake) => wake());
  }
}
