import { closeSync, existsSync, mkdirSync } from 'node:fs';

import { DinghyError, isDinghyError } from '../errors';
import { abortable, sleep, throwIfAborted } from '../util/abort';
import { buryDead, cleanContainer, leaveVolumes, settleDeath } from './clean';
import type { RunContext } from './context';
import type { CreatedContainer } from './create';
import type { Reply } from '../native/protocol';
import type { WaitingTask } from '../native/task';
import { waitForEnd, waitForRemoval } from './ending';
import type { RemoveOptions, StopOptions, WaitOptions } from './handle';
import type { WaitResult } from './exec-result';
import { frozenLayersOf } from './frozen';
import { noteContainer } from './journal';
import type { ContainerPlaces } from './places';
import type { ContainerRecord } from './record';
import { renameContainer } from './rename';
import { checkSignalName } from './settle-options';
import { checkReply, versionError } from './start-error';
import { isActive, observe, supervisorKilled, type SupervisorState } from './state';
import { launchSupervisor, type OpenOptions, SupervisorLink, takeLock } from './supervisor-link';
import { anonymousFolders } from './volume-store';

/** How long a supervisor may take from getting the lock to serving its socket, or from its last answer to letting go of it. */
const handoverMs = 5000;

/** What a call may stumble over when its container, its supervisor and its files go away under it. */
const removalCodes = new Set([
  'ERR_SUPERVISOR',
  'ERR_CONTAINER_NOT_RUNNING',
  'ERR_CONTAINER_START',
  'ERR_ARCHIVE',
  'ENOENT',
]);

/**
 * The verbs of one container: through its supervisor while there is one, on the files it left when there's none. An owned one
 * has a lifeline here: the connection whose end is the container's.
 */
export class ContainerControl {
  readonly context: RunContext;
  readonly places: ContainerPlaces;
  #record: ContainerRecord;
  #lifeline: SupervisorLink | undefined;
  #opened: Promise<void> | undefined;
  #started: Promise<Reply> | undefined;
  #closing: Promise<void> | undefined;
  #isMadeHere = false;

  constructor(context: RunContext, places: ContainerPlaces, record: ContainerRecord) {
    this.context = context;
    this.places = places;
    this.#record = record;
  }

  /**
   * Takes over a container that was just created. An owned one has its supervisor from now on, a detached one from its start. With
   * `start` that supervisor is told to start it in the same breath, and the first start() only waits for it.
   */
  static adopt(
    context: RunContext,
    created: CreatedContainer,
    { start = false }: { start?: boolean } = {},
  ): ContainerControl {
    const control = new ContainerControl(context, created.places, created.record);
    control.#isMadeHere = true;
    // Before the supervisor can tell of a start: this process may be interrupted for longer than one takes.
    noteContainer(context.state, created.record, 'create');
    if (created.supervisor) {
      control.#open(created.supervisor, { hold: true, start, follow: start });
      control.#noteItsDeath();
    }
    return control;
  }

  /** As it was when it was looked up, or renamed here. */
  get record(): ContainerRecord {
    return this.#record;
  }

  async rename(name: string): Promise<void> {
    this.#record = await renameContainer(this, name);
  }

  /** It was made here and ends with this process. */
  get isOwned(): boolean {
    return this.#lifeline !== undefined;
  }

  /** How a container that removed itself had ended, as its supervisor told its lifeline. */
  get toldEnd(): SupervisorState | undefined {
    const state = this.record.autoRemove ? this.#lifeline?.state : undefined;
    return state?.status === 'stopped' ? state : undefined;
  }

  /** Calls the listener once an owned one is gone with all its files: nothing is left that must be closed. */
  onGone(listener: () => void): void {
    void this.#lifeline?.control.closed.then(() => {
      // A killed supervisor leaves files, which close() removes.
      if (!existsSync(this.places.bundle)) {
        listener();
      }
    });
  }

  /** The supervisor has read the configuration. @throws what it refused */
  async opened(): Promise<void> {
    await this.#opened;
  }

  async start(): Promise<void> {
    const doing = `cannot start container ${this.record.name}`;
    const begun = this.#started;
    this.#started = undefined;
    await this.#withSupervisor(async (link) => {
      await this.#opened;
      if (begun) {
        checkReply(doing, await begun);
        return;
      }
      // Its files go with it, maybe before anybody waits: whoever holds it has been told how it ended, then.
      const told = this.record.autoRemove && !link.state ? link.subscribe() : undefined;
      await Promise.all([told, link.request(doing, 'start')]);
    });
  }

  /** A shared one may have been started by whoever made it. */
  async startUnlessRunning(): Promise<void> {
    const { alive, state } = observe(this.places);
    if (!alive || (state?.status !== 'running' && state?.status !== 'paused')) {
      await this.start();
    }
  }

  async stop({ stopSignal, timeoutMs, signal }: StopOptions): Promise<void> {
    throwIfAborted(signal);
    const number = stopSignal === undefined ? undefined : checkSignalName('stopSignal', stopSignal);
    await this.#withLink(async (link) => {
      const stopped = link.request(`cannot stop container ${this.record.name}`, 'stop', {
        ...(number === undefined ? {} : { signal: number }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
      await abortable(stopped, signal);
    });
  }

  async kill(signalName: string): Promise<void> {
    const number = checkSignalName('signal', signalName);
    const found = await this.#withLink(async (link) => {
      await link.request(`cannot signal container ${this.record.name}`, 'signal', { signal: number });
    });
    if (!found) {
      throw this.notRunning();
    }
  }

  async restart(options: StopOptions): Promise<void> {
    await this.stop(options);
    throwIfAborted(options.signal);
    await this.start();
    // The supervisor notes the start once it has answered: when it answers again, it has. It may have ended meanwhile.
    const asked = this.#withLink(async (link) => void (await link.control.request('state')));
    await asked.catch(() => undefined);
    noteContainer(this.context.state, this.record, 'restart');
  }

  /** Its configuration and, if it runs, its cgroup have these; one that does not run has a supervisor for that moment. */
  async update(changes: Record<string, unknown>): Promise<void> {
    if (!existsSync(this.places.record)) {
      throw this.notFound();
    }
    await this.#withSupervisor(async (link) => {
      await this.#opened;
      await link.request(`cannot update container ${this.record.name}`, 'update', changes);
    });
  }

  /**
   * Its configuration and, if it has been started, its namespace have it; one without a supervisor has one for that moment. When
   * `prepare` makes the request, all is done that was asked before, also by processes that were killed.
   */
  async changeNetwork(op: 'connect' | 'disconnect', prepare: () => Record<string, unknown>): Promise<void> {
    if (!existsSync(this.places.record)) {
      throw this.notFound();
    }
    const doing = `cannot ${op} container ${this.record.name}`;
    const link = await this.connectOrLaunch();
    try {
      await this.#opened;
      await link.request(doing, 'state');
      await link.request(doing, op, prepare());
    } finally {
      link.close();
    }
  }

  /** What was asked of its supervisor, if it has one, is done, also by processes that were killed. */
  async settle(): Promise<void> {
    const link = await this.connect();
    // On a connection of its own: the supervisor looks at it after those that had something to say.
    await link?.control.request('state').catch(() => undefined);
    link?.close();
  }

  async setPaused(paused: boolean): Promise<void> {
    const op = paused ? 'pause' : 'unpause';
    const found = await this.#withLink(async (link) => {
      await link.request(`cannot ${op} container ${this.record.name}`, op);
    });
    if (!found) {
      throw paused ? this.notRunning() : this.#notPaused();
    }
  }

  async remove({ force = false, volumes = false }: RemoveOptions): Promise<void> {
    const isDone = await this.#askToRemove(force);
    if (!isDone || volumes) {
      await this.#removeFiles(volumes);
    }
  }

  /** False when nobody serves it, or nobody any more: it was killed, or the removal of another went before this one. */
  async #askToRemove(force: boolean): Promise<boolean> {
    let isLost = false;
    const found = await this.#withLink(async (link) => {
      try {
        const state = await link.subscribe();
        if (!force && isActive(state) && !link.isRemoving) {
          throw this.#running();
        }
        const reply = await link.control.request('remove', { force });
        if (!reply.ok && reply.error.errno === 16) {
          throw this.#running();
        }
        checkReply(`cannot remove container ${this.record.name}`, reply);
      } catch (error) {
        isLost = isDinghyError(error) && error.code === 'ERR_SUPERVISOR' && link.isClosed;
        if (!isLost) {
          throw error;
        }
      }
    });
    return found && !isLost;
  }

  /** Idempotent, also at the same time. An owned container is gone afterwards, whatever state it was in. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** This process holds one that another made; false when it ends already, or nobody serves it. */
  async hold(): Promise<boolean> {
    const link = await SupervisorLink.connect(this.places, { hold: true });
    await link?.subscribe().catch(() => undefined);
    if (!link?.state || link.isRemoving) {
      link?.close();
      return false;
    }
    this.#lifeline = link;
    return true;
  }

  /** What was made here is gone: it undoes a creation. A shared one is let go, unless `forAll`. */
  async discard({ forAll = false }: { forAll?: boolean } = {}): Promise<void> {
    if (!forAll && (this.isOwned || !this.#isMadeHere)) {
      return this.close();
    }
    await this.remove({ force: true, volumes: true }).catch((error: unknown) => {
      if (!isDinghyError(error) || error.code !== 'ERR_CONTAINER_NOT_FOUND') {
        throw error;
      }
    });
  }

  async wait({ condition = 'not-running', signal }: WaitOptions): Promise<WaitResult> {
    throwIfAborted(signal);
    const { state } = observe(this.places);
    // Under a restart policy each end counts, also one after which it is started again.
    const before = state?.status === 'stopped' && condition !== 'next-exit' ? undefined : state;
    const result = await waitForEnd(this, { before }, signal);
    return condition === 'removed' ? waitForRemoval(this, result, signal) : result;
  }

  /** It has ended for good: its policy, if it has one, does not start it again. */
  async waitForStop(signal: AbortSignal): Promise<WaitResult> {
    return waitForEnd(this, { final: true }, signal);
  }

  /** A connection of its own, for what lasts: the caller closes it. Undefined when no supervisor serves the container. */
  async connect(signal?: AbortSignal): Promise<SupervisorLink | undefined> {
    const connecting = this.#connect();
    try {
      return await abortable(connecting, signal);
    } catch (error) {
      // What comes after the abort is nobody's, and would keep the supervisor from ending.
      void connecting.then(
        (link) => link?.close(),
        () => undefined,
      );
      throw error;
    }
  }

  async #connect(): Promise<SupervisorLink | undefined> {
    await this.#opened;
    for (let waitedMs = 0; ; waitedMs += 5) {
      const link = await SupervisorLink.connect(this.places);
      // Between taking the lock and listening, and between its last word and its end, a supervisor can't be reached.
      if (link || waitedMs >= handoverMs || !observe(this.places).alive) {
        return link;
      }
      await sleep(5);
    }
  }

  /** The same; starts a supervisor, without starting the container, when there is none. */
  async connectOrLaunch(): Promise<SupervisorLink> {
    for (const deadline = Date.now() + handoverMs; ;) {
      const link = await this.connect();
      if (link?.isForeign) {
        await this.#letGoOfForeign(link, deadline);
        continue;
      }
      if (link) {
        return link;
      }
      if (!this.record.detached && existsSync(this.places.lock) && !observe(this.places).alive) {
        throw this.#abandoned();
      }
      const lockFd = takeLock(this.places.lock);
      if (lockFd !== undefined) {
        return await this.#launch(lockFd);
      }
      if (!existsSync(this.places.lock)) {
        throw this.notFound();
      }
      if (Date.now() > deadline) {
        throw this.locked();
      }
      await sleep(5);
    }
  }

  /**
   * What fails because the container is removed meanwhile says so, whatever it stumbled over.
   * @throws what `work` throws, or ERR_CONTAINER_NOT_FOUND
   */
  async whileThere<Value>(work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (error) {
      throw this.toldGone(error);
    }
  }

  /** The error, or ERR_CONTAINER_NOT_FOUND where it came of the container's removal. */
  toldGone(error: unknown): unknown {
    const { code } = error as { code?: string };
    return code !== undefined && removalCodes.has(code) && !existsSync(this.places.record)
      ? this.notFound(error)
      : error;
  }

  notRunning(): DinghyError {
    if (!existsSync(this.places.record)) {
      return this.notFound();
    }
    return new DinghyError({
      code: 'ERR_CONTAINER_NOT_RUNNING',
      message: `container ${this.record.name} is not running: start it first`,
      details: { container: this.record.id },
    });
  }

  /** It stays locked by somebody who doesn't serve it. */
  locked(): DinghyError {
    return new DinghyError({
      code: 'ERR_SUPERVISOR',
      message: `container ${this.record.name} is locked, but nobody serves it: another process may be removing it`,
      details: { container: this.record.id },
    });
  }

  notFound(cause?: unknown): DinghyError {
    return new DinghyError({
      code: 'ERR_CONTAINER_NOT_FOUND',
      message: `container ${this.record.name} does not exist any more: it was removed`,
      details: { container: this.record.id },
      cause,
    });
  }

  #notPaused(): DinghyError {
    return new DinghyError({
      code: 'ERR_CONTAINER_NOT_PAUSED',
      message: `container ${this.record.name} is not paused, it does not even run: start it instead`,
      details: { container: this.record.id },
    });
  }

  /** The lifeline while it serves, else what another process may have left to connect to. */
  async #withLink(work: (link: SupervisorLink) => Promise<void>): Promise<boolean> {
    const held = this.heldLink;
    if (held) {
      await this.#opened;
      await work(held);
      return true;
    }
    if (!existsSync(this.places.record)) {
      throw this.notFound();
    }
    const link = await this.connect();
    try {
      if (link) {
        await work(link);
      }
      return link !== undefined;
    } finally {
      link?.close();
    }
  }

  async #withSupervisor(work: (link: SupervisorLink) => Promise<void>): Promise<void> {
    const held = this.heldLink;
    const link = held ?? (await this.connectOrLaunch());
    try {
      await work(link);
    } finally {
      if (link !== held) {
        link.close();
      }
    }
  }

  /** The lifeline while it serves. */
  get heldLink(): SupervisorLink | undefined {
    return this.#lifeline && !this.#lifeline.isClosed ? this.#lifeline : undefined;
  }

  async #launch(lockFd: number): Promise<SupervisorLink> {
    try {
      await buryDead(this.context, this.places, this.record);
      mkdirSync(this.places.runtime, { recursive: true, mode: 0o700 });
      // On a tmpfs what it wrote ended with the boot.
      for (const folder of [this.places.upper, this.places.work, ...this.#layersOnTmpfs()]) {
        mkdirSync(folder, { recursive: true, mode: 0o755 });
      }
      return this.#open(launchSupervisor(this.context, lockFd), { hold: false });
    } finally {
      closeSync(lockFd);
    }
  }

  #layersOnTmpfs(): string[] {
    return this.record.rootfsProvider === 'overlay-tmpfs' ? frozenLayersOf(this.places.config) : [];
  }

  #open(supervisor: WaitingTask, options: OpenOptions): SupervisorLink {
    const { link, opened, started } = SupervisorLink.open(supervisor, this.places, options);
    this.#opened = opened.then((reply) => {
      checkReply(`cannot set up container ${this.record.name}`, reply);
    });
    this.#opened.catch(() => undefined); // the next call that needs the supervisor tells
    this.#started = started;
    if (options.hold) {
      this.#lifeline = link;
    }
    return link;
  }

  /** Where the supervisor is killed, nobody else would tell of the end before it is removed. */
  #noteItsDeath(): void {
    void this.#lifeline?.control.closed.then(() => {
      const lockFd = existsSync(this.places.bundle) ? takeLock(this.places.lock) : undefined;
      if (lockFd === undefined) {
        return;
      }
      try {
        settleDeath(this.context, this.places, this.record);
      } catch {
        // A full disk, or it is being removed.
      } finally {
        closeSync(lockFd);
      }
    });
  }

  async #close(): Promise<void> {
    const lifeline = this.#lifeline;
    if (!lifeline) {
      return;
    }
    if (!lifeline.isClosed) {
      // One that others hold too stays; it goes with the last of them.
      const asked = this.#record.reuse
        ? lifeline.control.request('release', { end: true })
        : lifeline.control.request('remove', { force: true });
      const reply = await asked.catch(() => undefined);
      lifeline.close();
      if (reply?.ok) {
        return;
      }
    }
    await this.#removeFiles(true);
  }

  async #removeFiles(volumes: boolean): Promise<void> {
    const options = { volumes: volumes || !this.record.detached };
    // A supervisor that answered its last request still holds the lock for a moment.
    for (const deadline = Date.now() + handoverMs; existsSync(this.places.bundle); await sleep(5)) {
      if (await cleanContainer(this.context, this.record.id, options)) {
        return; // its volumes as well
      }
      if (Date.now() > deadline) {
        throw this.locked();
      }
    }
    if (options.volumes) {
      const folders = anonymousFolders(this.context.paths, this.record.mounts);
      await leaveVolumes(
        this.context,
        this.record.id,
        folders.filter((folder) => existsSync(folder)),
      );
    }
  }

  /**
   * A supervisor of another version cannot do for us what this is about. One whose detached container has ended goes when nobody asks
   * it anything any more: then there is room for one of ours.
   * @throws ERR_SUPERVISOR_VERSION
   */
  async #letGoOfForeign(link: SupervisorLink, deadline: number): Promise<void> {
    try {
      const state = await link.subscribe().catch(() => undefined);
      const isGoing = !state || link.isRemoving || (this.record.detached && !isActive(state));
      if (!isGoing || Date.now() > deadline) {
        throw versionError(`cannot do this with container ${this.record.name}`, link.control.version);
      }
    } finally {
      link.close();
    }
    await sleep(5);
  }

  // Without its lifeline an owned container could only be started to be ended at once.
  #abandoned(): DinghyError {
    return new DinghyError({
      code: 'ERR_SUPERVISOR',
      message: `container ${this.record.name} cannot go on: ${supervisorKilled}; remove it and run another`,
      details: { container: this.record.id },
    });
  }

  #running(): DinghyError {
    return new DinghyError({
      code: 'ERR_CONTAINER_RUNNING',
      message: `container ${this.record.name} is running: stop it first, or remove it with force`,
      details: { container: this.record.id },
    });
  }
}
