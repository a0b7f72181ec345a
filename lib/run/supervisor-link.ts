import { closeSync, fstatSync, openSync } from 'node:fs';

import { flock } from '../native/binding';
import { type ControlEvent, ControlConnection } from '../native/control';
import { lastingOps, protocolVersion, type Reply } from '../native/protocol';
import { WaitingTask } from '../native/task';
import { onAbort } from '../util/abort';
import type { RunContext } from './context';
import type { ContainerPlaces } from './places';
import { checkReply, versionError } from './start-error';
import type { SupervisorState } from './state';

export interface OpenOptions {
  hold: boolean;
  /** The container is started at once. */
  start?: boolean;
  /** Its state is known and followed from the beginning. */
  follow?: boolean;
}

/** A supervisor that does not know its container yet, but holds its lock, that of `lockFd`, which stays open here. */
export function launchSupervisor(context: RunContext, lockFd: number): WaitingTask {
  return new WaitingTask('supervise', {
    extraFds: [lockFd],
    // In a user namespace of its own the supervisor makes the pid namespace itself, for which it has no right yet.
    newPidNamespace: context.rootless === undefined,
  });
}

/** A connection to one container's supervisor, with what it last told of the state. */
export class SupervisorLink {
  readonly control: ControlConnection;
  #state: SupervisorState | undefined;
  #version = 0;
  #stateEvents = 0;
  #isRemoving = false;
  #wakers = new Set<() => void>();

  private constructor(connect: (onEvent: (event: ControlEvent) => void) => ControlConnection) {
    this.control = connect((event) => this.#onEvent(event));
    void this.control.closed.then(() => this.#wake());
  }

  /**
   * The supervisor serves the container. Its first requests are on their way: `opened` tells whether it has read the
   * configuration. With `hold` the container ends when this connection does.
   */
  static open(
    supervisor: WaitingTask,
    places: ContainerPlaces,
    { hold, start, follow }: OpenOptions,
  ): { link: SupervisorLink; opened: Promise<Reply>; started?: Promise<Reply> } {
    const requests = [
      { op: 'open', fields: { bundle: places.bundle, socket: places.socket } },
      ...(follow ? [{ op: 'subscribe' }] : []),
      ...(start ? [{ op: 'start' }] : []),
    ];
    let replies: Promise<Reply>[] = [];
    const link = new SupervisorLink((onEvent) => {
      const task = supervisor.open({ hold, requests, onEvent });
      replies = task.replies;
      return task.control;
    });
    if (follow) {
      link.#follow(replies[1]!).catch(() => undefined);
    }
    return { link, opened: replies[0]!, ...(start ? { started: replies.at(-1)! } : {}) };
  }

  /** Undefined when no supervisor serves the container. */
  static async connect(
    places: ContainerPlaces,
    { hold = false }: { hold?: boolean } = {},
  ): Promise<SupervisorLink | undefined> {
    let onEvent = (_event: ControlEvent): void => undefined;
    try {
      const control = await ControlConnection.connect(places.socket, { hold, onEvent: (event) => onEvent(event) });
      return new SupervisorLink((listener) => {
        onEvent = listener;
        return control;
      });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ECONNRESET') {
        return undefined;
      }
      throw error;
    }
  }

  /** What it last told; undefined before the first event. */
  get state(): SupervisorState | undefined {
    return this.#state;
  }

  /** Grows with each event and when the connection ends: compare it to know whether something was missed. */
  get version(): number {
    return this.#version;
  }

  get isClosed(): boolean {
    return this.control.isClosed;
  }

  /** As the answer to `subscribe` said: it ends now, if it has not, and everything of it goes. */
  get isRemoving(): boolean {
    return this.#isRemoving;
  }

  /** Of another version of this library: it understands only what lasts. */
  get isForeign(): boolean {
    return this.control.version !== protocolVersion;
  }

  /**
   * @throws what the supervisor says, as a typed error; ERR_SUPERVISOR when it ended first; ERR_SUPERVISOR_VERSION, before anything
   * was asked
   */
  async request(doing: string, op: string, fields: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    if (this.isForeign && !lastingOps.has(op)) {
      throw versionError(doing, this.control.version);
    }
    return checkReply(doing, await this.control.request(op, fields));
  }

  /** From now on the state is known and followed; the answer's state and the events after it leave no gap. */
  async subscribe(options: { log?: boolean } = {}): Promise<SupervisorState> {
    return this.#follow(this.control.request('subscribe', { log: options.log ?? false }));
  }

  async #follow(asked: Promise<Reply>): Promise<SupervisorState> {
    const before = this.#stateEvents;
    const reply = checkReply('cannot follow the container', await asked);
    this.#isRemoving = reply['removing'] === true;
    // An event may have come in the same chunk as the answer, and been dispatched before this went on: it is the newer one.
    if (this.#stateEvents === before || !this.#state) {
      this.#state = reply['state'] as SupervisorState;
    }
    return this.#state;
  }

  /**
   * Resolves at the next event after `version`, when the connection ends, when the signal fires, or after `timeoutMs`. Keeps Node
   * alive meanwhile.
   */
  async changed(version: number, signal?: AbortSignal, timeoutMs?: number): Promise<void> {
    if (this.#version !== version || this.isClosed || signal?.aborted) {
      return;
    }
    const release = this.control.retain();
    let waker = (): void => undefined;
    let unhook = (): void => undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve) => {
        waker = resolve;
        this.#wakers.add(waker);
        unhook = onAbort(signal, resolve);
        timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs);
      });
    } finally {
      clearTimeout(timer);
      unhook();
      this.#wakers.delete(waker);
      release();
    }
  }

  close(): void {
    this.control.close();
  }

  #onEvent(event: ControlEvent): void {
    if (event.event === 'state') {
      this.#state = event as unknown as SupervisorState;
      this.#stateEvents++;
    }
    this.#wake();
  }

  #wake(): void {
    this.#version++;
    const wakers = [...this.#wakers];
    this.#wakers.clear();
    wakers.forEach((wake) => wake());
  }
}

/** The container's lock, taken for this process, or undefined while somebody has it. The caller closes it or hands it on. */
export function takeLock(path: string): number | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
  // Who had it may have removed the container: then this is the lock of nothing.
  if (flock(fd, 'exclusive') && fstatSync(fd).nlink > 0) {
    return fd;
  }
  closeSync(fd);
  return undefined;
}
