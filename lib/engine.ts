import { closeSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';

import { checkPlace, settleLoad, settleSave } from './archive/options';
import { DinghyError } from './errors';
import { matchesContainer, matchesImage, matchesNetwork, matchesVolume } from './filters';
import type { DamagedImage, Image, ImageRemoval, PresentedImage, PullOptions, RegistryAuth } from './image';
import { ImageAccess, pullOptionNames } from './image-access';
import { createLog } from './log';
import type { ImageConfig } from './oci/image-config';
import type { ContainerSettings } from './oci/settings';
import { sweepContainers } from './run/clean';
import { settleCommit } from './run/commit-options';
import { ContainerControl } from './run/container-control';
import type { ContainerProcess } from './run/container-process';
import type { RunContext } from './run/context';
import { createContainer, type CreatedContainer } from './run/create';
import { readEvents, settleEvents } from './run/events';
import { checkArgv, execOptionNames, settleCollect, spawnOptionNames } from './run/exec-options';
import type { ExecResult } from './run/exec-result';
import { findContainer, listContainers } from './run/find';
import { withForkBase } from './run/fork';
import { frozenLayersOf, sweepFrozen } from './run/frozen';
import { type JournalMark, markJournal } from './run/journal-reader';
import {
  chooseFolders,
  chooseProvider,
  ensureState,
  type Folders,
  hostReasons,
  probeHost,
  providerOf,
  rootlessIds,
} from './run/host';
import { inheritedOptions, keepOptions } from './run/inherit';
import { LiveContainer } from './run/live-container';
import { checkVolumeName } from './run/mount-options';
import {
  createNetwork,
  endNetwork,
  inspectNetwork,
  inspectNetworks,
  type NetworkState,
  type OwnedNetwork,
  removeNetwork,
  sweepNetworks,
} from './run/network-actions';
import { connectContainer, disconnectContainer } from './run/network-connect';
import { checkNetworkName, settleAttachment } from './run/network-option';
import { settleNetworkOptions } from './run/network-options';
import { OneShotProcess, runToEnd } from './run/one-shot';
import { readRecord } from './run/record';
import { prune, type PruneOutcome, settlePrune } from './run/prune';
import { sweepNames } from './run/reserve';
import { type RestoreOutcome, restoreContainers } from './run/restore';
import { containerOptionNames, settleOptions } from './run/settle-options';
import { joinReused, reuseLock, reuseRequest } from './run/reuse';
import { createVolume, inspectVolume, inspectVolumes, removeVolume, type VolumeState } from './run/volume-actions';
import { settleConditions, waitForConditions } from './run/wait-for';
import type { ImportOptions, RuntimeEvent, RuntimeInfo, RuntimeOptions, VerifyResult } from './runtime-options';
import { withLock } from './store/locks';
import { abortable, throwIfAborted } from './util/abort';
import {
  checkArgument,
  checkBoolean,
  checkDuration,
  checkOptions,
  checkRecord,
  checkSignal,
  checkText,
  isPlainObject,
  type PlainObject,
} from './util/checks';
import { packageVersion } from './util/version';

const log = createLog('runtime');

const runtimeOptionNames = ['root', 'state', 'platform', 'registries', 'auth', 'labels', 'unpackLimits'];
const createOptionNames = [...containerOptionNames, 'pull', 'platform', 'auth', 'onPullProgress'];
const forkOptionNames = containerOptionNames.filter((name) => name !== 'reuse');
const oneShotRefused = ['detached', 'reuse', 'restart', 'autoRemove', 'command'];
const oneShotNames = createOptionNames.filter((name) => !oneShotRefused.includes(name));

// Once per process and data folder somebody looks for what killed processes left behind.
const swept = new Set<string>();
const sweepDelayMs = 50;

/**
 * What a Runtime does, without the classes it hands out: those load with the package, and this with the first Runtime. Options
 * come as the caller gave them and are checked here.
 */
export class Engine {
  readonly #folders: Folders;
  readonly #labels: Record<string, string>;
  readonly #images: ImageAccess;
  readonly #owned = new Set<ContainerControl>();
  readonly #ownedNetworks = new Map<string, OwnedNetwork>();
  readonly #pending = new Set<Promise<unknown>>();
  #context: Promise<RunContext> | undefined;
  #closing: Promise<void> | undefined;
  #over: AbortController | undefined;

  constructor(options: RuntimeOptions) {
    const given = checkOptions('Runtime', options, runtimeOptionNames);
    this.#folders = chooseFolders(given);
    this.#labels = given['labels'] === undefined ? {} : checkRecord('labels', given['labels'], checkArgument);
    this.#images = new ImageAccess(this.#folders, options, () => this.#prepare());
  }

  async pull(reference: string, options: PullOptions): Promise<PresentedImage> {
    this.#assertOpen();
    checkOptions('pull', options, pullOptionNames);
    return this.#images.pull(reference, options);
  }

  async import(source: string | Readable, options: ImportOptions): Promise<PresentedImage> {
    return this.#track(async () => this.#images.present(await this.#images.import(source, options)));
  }

  async image(nameOrId: string): Promise<PresentedImage> {
    this.#assertOpen();
    return this.#images.get(nameOrId);
  }

  async images(options: object): Promise<PresentedImage[]> {
    this.#assertOpen();
    const { filters } = checkOptions('images', options, ['filters']);
    const matches = await matchesImage(filters, async (name) => (await this.#images.get(name)).record);
    const images = await this.#images.list();
    return images.map((image) => this.#images.present(image)).filter(({ record }) => matches(record));
  }

  async damagedImages(): Promise<DamagedImage[]> {
    this.#assertOpen();
    return this.#images.listDamaged();
  }

  async removeImage(nameOrId: string, options: object): Promise<ImageRemoval> {
    const { force } = checkOptions('removeImage', options, ['force']);
    const settled = { force: force === undefined ? false : checkBoolean('force', force) };
    return this.#track(() => this.#images.remove(String(nameOrId), settled));
  }

  async load(source: string | Readable, options: object): Promise<PresentedImage[]> {
    const settled = settleLoad(options);
    checkPlace('source', source);
    return this.#track(() => this.#images.load(source, settled));
  }

  async save(images: readonly (string | Image)[], target: string | Writable, options: object): Promise<void> {
    const settled = settleSave(options);
    checkPlace('target', target);
    return this.#track(() => this.#images.save(images, target, settled));
  }

  async prune(options: object): Promise<PruneOutcome> {
    const settings = settlePrune(options);
    return this.#track(async () => prune(await this.#prepare(), this.#images.store, settings));
  }

  async restore(): Promise<RestoreOutcome> {
    return this.#track(async () => restoreContainers(await this.#prepare()));
  }

  async verify(options: object): Promise<VerifyResult> {
    const { repair, signal } = checkOptions('verify', options, ['repair', 'signal']);
    const settled = {
      repair: repair === undefined ? false : checkBoolean('repair', repair),
      ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
    };
    return this.#track(async () => ({ damaged: await this.#images.verify(settled) }));
  }

  async create(image: string | Image, options: object): Promise<LiveContainer> {
    const given = checkOptions('create', options, createOptionNames);
    settleConditions('waitFor', given['waitFor'] ?? []);
    const key = given['reuse'] === undefined ? undefined : checkText('reuse', given['reuse']);
    return this.#track(async () => {
      if (key !== undefined) {
        return this.#present(await this.#reuse(key, image, given, { start: false }));
      }
      const control = await this.#create(image, given);
      await this.#guard(control, given, () => control.opened());
      return this.#present(control);
    });
  }

  async run(image: string | Image, options: object): Promise<LiveContainer> {
    const given = checkOptions('run', options, createOptionNames);
    const checks = settleConditions('waitFor', given['waitFor'] ?? []);
    const key = given['reuse'] === undefined ? undefined : checkText('reuse', given['reuse']);
    return this.#track(async () => {
      const shared = key === undefined ? undefined : await this.#reuse(key, image, given, { start: true });
      const control = shared ?? (await this.#create(image, given, { start: true }));
      const signal = given['signal'] as AbortSignal | undefined;
      await this.#guard(control, given, async () => {
        if (!shared) {
          await control.start();
        }
        if (checks.length > 0) {
          await waitForConditions(control, checks, signal ? { signal } : {});
        }
      });
      return this.#present(control);
    });
  }

  /** A container of the base's present files and options, held and ended as one that was run. */
  async fork(base: ContainerControl, options: object): Promise<LiveContainer> {
    const given = checkOptions('fork', options, forkOptionNames);
    return this.#track(async () => {
      const record = readRecord(base.places.record);
      if (!record) {
        throw base.notFound();
      }
      const merged: PlainObject = { ...inheritedOptions(record, base.places), ...given };
      const settings = this.#settle(merged);
      const checks = settleConditions('waitFor', merged['waitFor'] ?? []);
      const signal = given['signal'] as AbortSignal | undefined;
      throwIfAborted(signal === undefined ? undefined : checkSignal('signal', signal));
      const context = await this.#prepare();
      const created = await withForkBase(
        base,
        (work: (config: ImageConfig) => Promise<CreatedContainer>) => this.#images.pinned(record.imageId, work),
        async ({ lower, ...layers }, config) => {
          throwIfAborted(signal);
          const image = { reference: record.image, id: record.imageId, config, lower, base: layers };
          return createContainer(context, image, settings, { asked: keepOptions(merged) });
        },
        signal,
      );
      const control = await this.#keep(ContainerControl.adopt(context, created, { start: true }));
      await this.#guard(control, merged, async () => {
        await control.start();
        if (checks.length > 0) {
          await waitForConditions(control, checks, signal ? { signal } : {});
        }
      });
      return this.#present(control);
    });
  }

  async commit(control: ContainerControl, options: object): Promise<PresentedImage> {
    const settings = settleCommit(options);
    return this.#track(async () => this.#images.present(await this.#images.commit(control, settings), settings.name));
  }

  async exec(image: string | Image, argv: readonly string[], options: object): Promise<ExecResult<string | Buffer>> {
    const given = checkOptions('exec', options, [...new Set([...oneShotNames, ...execOptionNames])]);
    const collect = settleCollect(given);
    const settings = oneShotSettings(argv, given);
    return this.#track(async () => {
      const openStdin = collect.input === undefined ? {} : { openStdin: true };
      const begin = { start: collect.input === undefined };
      const control = await this.#create(image, { ...given, ...openStdin, command: settings.argv }, begin);
      try {
        return await runToEnd(control, settings, collect);
      } finally {
        this.#owned.delete(control);
      }
    });
  }

  async spawn(image: string | Image, argv: readonly string[], options: object): Promise<ContainerProcess> {
    const given = checkOptions('spawn', options, [...new Set([...oneShotNames, ...spawnOptionNames])]);
    const settings = oneShotSettings(argv, given);
    return this.#track(async () => {
      const control = await this.#create(image, { openStdin: true, ...given, command: settings.argv });
      return OneShotProcess.start(control, settings);
    });
  }

  async container(idPrefixOrName: string): Promise<LiveContainer> {
    this.#assertOpen();
    return this.#present(findContainer(await this.#prepare(), String(idPrefixOrName)));
  }

  async containers(options: object): Promise<LiveContainer[]> {
    this.#assertOpen();
    const { all, filters } = checkOptions('containers', options, ['all', 'filters']);
    const matches = matchesContainer(filters, all === undefined ? false : checkBoolean('all', all));
    const found = await listContainers(await this.#prepare());
    return found.filter(matches).map((control) => this.#present(control));
  }

  /** What happens after this call is seen, however late somebody begins to read. */
  events(options: object): AsyncIterable<RuntimeEvent> {
    const mark = markJournal(this.#folders.state);
    return { [Symbol.asyncIterator]: () => this.#events(options, mark) };
  }

  async *#events(options: object, mark: JournalMark): AsyncGenerator<RuntimeEvent> {
    this.#assertOpen();
    const settings = settleEvents(options);
    const { state } = this.#folders;
    ensureState(state);
    // Whoever listens is told of what was killed, also on a host that could run nothing.
    await this.#prepare().catch(() => undefined);
    this.#over ??= new AbortController();
    for await (const { time, ...event } of readEvents(state, mark, settings, this.#over.signal)) {
      yield { ...event, time: new Date(time), timestamp: time };
    }
  }

  async createVolume(options: object): Promise<string> {
    const { name, labels } = checkOptions('createVolume', options, ['name', 'labels']);
    const settled = {
      ...(name === undefined ? {} : { name: checkVolumeName('name', name) }),
      ...(labels === undefined ? {} : { labels: checkRecord('labels', labels, checkArgument) }),
    };
    return this.#track(async () => createVolume(await this.#prepare(), settled));
  }

  async inspectVolume(name: string): Promise<VolumeState> {
    this.#assertOpen();
    return inspectVolume(await this.#prepare(), checkVolumeName('name', name));
  }

  async volumes(options: object): Promise<VolumeState[]> {
    this.#assertOpen();
    const { filters } = checkOptions('volumes', options, ['filters']);
    const matches = matchesVolume(filters);
    return (await inspectVolumes(await this.#prepare())).filter(matches);
  }

  async removeVolume(name: string, options: object): Promise<void> {
    const { force } = checkOptions('remove', options, ['force']);
    const settled = { force: force === undefined ? false : checkBoolean('force', force) };
    return this.#track(async () => removeVolume(await this.#prepare(), name, settled));
  }

  async createNetwork(options: object): Promise<NetworkState> {
    const settings = settleNetworkOptions(options);
    settings.labels = { ...this.#labels, ...settings.labels };
    return this.#track(async () => {
      const context = await this.#prepare();
      const { name, owned } = await createNetwork(context, settings);
      if (owned) {
        this.#ownedNetworks.set(name, owned);
      }
      return inspectNetwork(context, name);
    });
  }

  async inspectNetwork(nameOrId: string): Promise<NetworkState> {
    this.#assertOpen();
    return inspectNetwork(await this.#prepare(), checkNetworkName('name', nameOrId));
  }

  async networks(options: object): Promise<NetworkState[]> {
    this.#assertOpen();
    const { filters } = checkOptions('networks', options, ['filters']);
    const matches = matchesNetwork(filters);
    return (await inspectNetworks(await this.#prepare())).filter(matches);
  }

  async removeNetwork(name: string): Promise<void> {
    return this.#track(async () => {
      await removeNetwork(await this.#prepare(), checkNetworkName('name', name));
      this.#forgetNetwork(name);
    });
  }

  /** One that is owned here goes. */
  async closeNetwork(name: string): Promise<void> {
    const owned = this.#ownedNetworks.get(name);
    this.#ownedNetworks.delete(name);
    if (owned) {
      await endNetwork(await this.#prepare(), owned);
    }
  }

  async connect(network: string, container: unknown, options: object): Promise<void> {
    const attachment = { network, ...settleAttachment('connect', network, options) };
    const text = containerName(container);
    return this.#track(async () => connectContainer(findContainer(await this.#prepare(), text), attachment));
  }

  async disconnect(network: string, container: unknown): Promise<void> {
    const text = containerName(container);
    return this.#track(async () => disconnectContainer(findContainer(await this.#prepare(), text), network));
  }

  #forgetNetwork(name: string): void {
    const owned = this.#ownedNetworks.get(name);
    if (owned) {
      this.#ownedNetworks.delete(name);
      closeSync(owned.fd);
    }
  }

  async info(): Promise<RuntimeInfo> {
    this.#assertOpen();
    ensureState(this.#folders.state);
    await this.#images.open();
    const facts = await probeHost(this.#folders);
    const rootless = rootlessIds() !== undefined;
    const reasons = hostReasons(facts, this.#folders, rootless);
    return {
      version: packageVersion(),
      usable: reasons.length === 0,
      reasons,
      cgroup: facts.cgroup.mode,
      controllers: facts.cgroup.controllers,
      rootless,
      rootfs: providerOf(facts, rootless) ?? 'none',
      kernel: facts.kernel,
      ...this.#folders,
    };
  }

  async login(registry: string, auth: RegistryAuth): Promise<void> {
    this.#assertOpen();
    await this.#images.login(registry, auth);
  }

  async logout(registry: string): Promise<void> {
    this.#assertOpen();
    await this.#images.logout(registry);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#over?.abort();
    // Calls under way notice that it's closed, and undo what they made.
    await Promise.allSettled(this.#pending);
    const owned = [...this.#owned];
    this.#owned.clear();
    const layers = owned.flatMap(({ places }) => frozenLayersOf(places.config));
    const results: PromiseSettledResult<unknown>[] = await Promise.allSettled(owned.map((control) => control.close()));
    if (owned[0]) {
      results.push(...(await Promise.allSettled([sweepFrozen(owned[0].context, layers)])));
    }
    // After those that were on them.
    results.push(...(await Promise.allSettled([...this.#ownedNetworks.keys()].map((name) => this.closeNetwork(name)))));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) {
      throw failed.reason;
    }
  }

  #assertOpen(): void {
    if (this.#closing) {
      throw new DinghyError({ code: 'ERR_CLOSED', message: 'the runtime is closed: make a new one' });
    }
  }

  async #track<T>(work: () => Promise<T>): Promise<T> {
    this.#assertOpen();
    const promise = work();
    this.#pending.add(promise);
    try {
      return await promise;
    } finally {
      this.#pending.delete(promise);
    }
  }

  /** The folders are there and it's known how roots are made; what dead processes left is removed a little later. */
  #prepare(): Promise<RunContext> {
    this.#context ??= this.#open().catch((error: unknown) => {
      this.#context = undefined;
      throw error;
    });
    return this.#context;
  }

  async #open(): Promise<RunContext> {
    ensureState(this.#folders.state);
    await this.#images.open();
    const rootless = rootlessIds();
    const provider = await chooseProvider(this.#folders, rootless !== undefined);
    const { paths } = this.#images.store;
    const context: RunContext = { paths, state: this.#folders.state, provider, ...(rootless ? { rootless } : {}) };
    if (!swept.has(paths.root)) {
      swept.add(paths.root);
      // Not now: it reads a folder for each container, and somebody waits for a start.
      setTimeout(() => {
        const sweepAfterContainers = async (): Promise<void> => {
          await sweepContainers(context);
          await Promise.all([sweepNetworks(context), sweepFrozen(context)]);
        };
        Promise.all([sweepAfterContainers(), sweepNames(context)]).catch((error: unknown) =>
          log('sweeping failed: %s', error),
        );
      }, sweepDelayMs).unref();
    }
    return context;
  }

  /** The container is on disk; an owned one has its supervisor, which was told to start it if it is to. */
  async #create(image: string | Image, options: PlainObject, begin?: { start: boolean }): Promise<ContainerControl> {
    const settings = this.#settle(options);
    const signal = options['signal'] === undefined ? undefined : checkSignal('signal', options['signal']);
    throwIfAborted(signal);
    const [context, created] = await Promise.all([
      this.#prepare(),
      this.#images.whileHere(image, options, async (source) => {
        throwIfAborted(signal);
        return createContainer(await this.#prepare(), source, settings, { asked: keepOptions(options) });
      }),
    ]);
    return this.#keep(ContainerControl.adopt(context, created, begin));
  }

  /**
   * The one container of the key, which some process has made or this one makes; held by this Runtime too. With `start` it runs,
   * before anybody else who asks for the key is answered.
   */
  async #reuse(
    key: string,
    image: string | Image,
    options: PlainObject,
    { start }: { start: boolean },
  ): Promise<ContainerControl> {
    const settings = this.#settle(options);
    const signal = options['signal'] === undefined ? undefined : checkSignal('signal', options['signal']);
    const context = await this.#prepare();
    const work = async (): Promise<ContainerControl> => {
      const control = await this.#images.whileHere(image, options, async (source) => {
        const request = reuseRequest(context, key, settings, source.id);
        const joined = await joinReused(context, request, signal);
        const origin = { asked: keepOptions(options), reuse: request };
        return joined ?? ContainerControl.adopt(context, await createContainer(context, source, settings, origin));
      });
      await this.#keep(control);
      await this.#guard(control, options, () => (start ? control.startUnlessRunning() : control.opened()));
      return control;
    };
    return withLock(context.paths.lock(reuseLock(key)), work, signal ? { signal } : {});
  }

  #present(control: ContainerControl): LiveContainer {
    return new LiveContainer(control);
  }

  #settle(options: PlainObject): ContainerSettings {
    const settings = settleOptions(options);
    settings.labels = { ...this.#labels, ...settings.labels };
    return settings;
  }

  /** What is owned ends with this Runtime. */
  async #keep(control: ContainerControl): Promise<ContainerControl> {
    if (control.isOwned) {
      this.#owned.add(control);
      // A Runtime may live for months and run a million containers.
      control.onGone(() => this.#owned.delete(control));
    }
    if (this.#closing) {
      await control.discard();
      this.#assertOpen();
    }
    return control;
  }

  /** Runs the rest of a create or run; if it fails or is aborted, the container is gone. */
  async #guard(control: ContainerControl, options: PlainObject, work: () => Promise<void>): Promise<void> {
    try {
      await abortable(control.whileThere(work), options['signal'] as AbortSignal | undefined);
    } catch (error) {
      this.#owned.delete(control);
      await control.discard();
      throw error;
    }
  }
}

/** A Container, or its name or id. */
function containerName(value: unknown): string {
  return checkText('container', isPlainObject(value) ? value['id'] : value);
}

function oneShotSettings(
  argv: readonly string[],
  given: PlainObject,
): { argv: string[]; timeoutMs?: number; signal?: AbortSignal } {
  const { timeoutMs, signal } = given;
  return {
    argv: checkArgv(argv),
    ...(timeoutMs === undefined ? {} : { timeoutMs: checkDuration('timeoutMs', timeoutMs) }),
    ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
  };
}
