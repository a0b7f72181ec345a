import type { Readable } from 'node:stream';

import { LogAttachment } from './attach';
import type { Attachment } from './container-process';
import type { ContainerControl } from './container-control';
import {
  archivePath,
  copyFromContainer,
  type CopyResult,
  type CopySettings,
  copyToContainer,
  extractArchive,
} from './copy';
import { containerPath, containerSource, hostPath, hostSource } from './copy-paths';
import { type DiffEntry, diffContainer, type DiffOptions } from './diff';
import { armDeadline, execInContainer } from './exec';
import { execOptionNames, settleCollect, settleSpawn } from './exec-options';
import type { ExecResult, WaitResult } from './exec-result';
import { exportContainer } from './export';
import { frozenLayersOf, sweepFrozen } from './frozen';
import type {
  ArchiveOptions,
  AttachOptions,
  ContainerHandle,
  CopyOptions,
  ExportOptions,
  ExtractOptions,
  RemoveOptions,
  StopOptions,
  UpdateOptions,
  WaitForOptions,
  WaitOptions,
} from './handle';
import { describeContainer } from './describe';
import type { ContainerInspect } from './inspect';
import { JoinedProcess } from './joined-process';
import type { LogEntry, LogOptions } from './log-entry';
import { isRunning, readLogs, settleLogs } from './logs';
import type { ExecOptions, SpawnOptions } from './options';
import { portOf } from './ports';
import type { TopProcess } from './proc-stat';
import { checkName, checkSignalName } from './settle-options';
import type { PortBinding } from './state';
import { type ContainerStats, statsOnce, type StatsSettings, streamStats } from './stats';
import { topContainer } from './top';
import { refusedLimit, settleUpdate, updateContainer } from './update';
import { settleConditions, waitForConditions } from './wait-for';
import type { WaitCondition } from './wait-condition';
import { checkBoolean, checkChoice, checkDuration, checkOptions, checkSignal, invalidOption } from '../util/checks';

const waitConditions = ['not-running', 'next-exit', 'removed'] as const;

/** Checks what the user gave, and hands it to the parts that do it. */
export class LiveContainer implements ContainerHandle {
  readonly control: ContainerControl;

  constructor(control: ContainerControl) {
    this.control = control;
  }

  get id(): string {
    return this.control.record.id;
  }

  get name(): string {
    return this.control.record.name;
  }

  get image(): string {
    return this.control.record.image;
  }

  async start(): Promise<void> {
    await this.#there(() => this.control.start());
  }

  async stop(options: StopOptions): Promise<void> {
    const settings = settleStop('stop', options);
    await this.#there(() => this.control.stop(settings));
  }

  async kill(signalName: string): Promise<void> {
    checkSignalName('signal', signalName);
    await this.#there(() => this.control.kill(signalName));
  }

  async restart(options: StopOptions): Promise<void> {
    const settings = settleStop('restart', options);
    await this.#there(() => this.control.restart(settings));
  }

  async update(options: UpdateOptions): Promise<void> {
    const settings = settleUpdate(options);
    try {
      await this.#there(() => updateContainer(this.control, settings));
    } catch (error) {
      throw refusedLimit(error);
    }
  }

  async pause(): Promise<void> {
    await this.#there(() => this.control.setPaused(true));
  }

  async unpause(): Promise<void> {
    await this.#there(() => this.control.setPaused(false));
  }

  async remove(options: RemoveOptions): Promise<void> {
    const { force, volumes } = checkOptions('remove', options, ['force', 'volumes']);
    const settings = {
      force: force === undefined ? false : checkBoolean('force', force),
      volumes: volumes === undefined ? false : checkBoolean('volumes', volumes),
    };
    await this.#withoutItsLayers(() => this.#there(() => this.control.remove(settings)));
  }

  async rename(name: string): Promise<void> {
    const checked = checkName('name', name);
    await this.#there(() => this.control.rename(checked));
  }

  async close(): Promise<void> {
    await this.#withoutItsLayers(() => this.control.close());
  }

  /** Layers that were frozen for it go with the last that stands on them. */
  async #withoutItsLayers(remove: () => Promise<void>): Promise<void> {
    const { context, places } = this.control;
    const layers = frozenLayersOf(places.config);
    await remove();
    await sweepFrozen(context, layers);
  }

  async wait(options: WaitOptions): Promise<WaitResult> {
    const { condition, signal } = checkOptions('wait', options, ['condition', 'signal']);
    const settings = {
      ...(condition === undefined ? {} : { condition: checkChoice('condition', condition, waitConditions) }),
      ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
    };
    return this.#there(() => this.control.wait(settings));
  }

  async inspect(): Promise<ContainerInspect> {
    return describeContainer(this.control);
  }

  async exec(argv: readonly string[], options: ExecOptions): Promise<ExecResult<string | Buffer>> {
    const settings = settleSpawn(argv, options, execOptionNames);
    const collect = settleCollect(options as Record<string, unknown>);
    this.#assertRunning();
    return this.#there(() => execInContainer(this.control.places, settings, collect));
  }

  async spawn(argv: readonly string[], options: SpawnOptions): Promise<Attachment> {
    const settings = settleSpawn(argv, options);
    this.#assertRunning();
    const child = await this.#there(() => JoinedProcess.start(this.control.places, settings));
    const deadline = armDeadline(settings);
    deadline.onFired(() => child.abandon());
    void child.ended.then(() => deadline.disarm());
    return child;
  }

  async attach(options: AttachOptions): Promise<Attachment> {
    const { stdin, signal } = checkOptions('attach', options, ['stdin', 'signal']);
    const settings = {
      ...(stdin === undefined ? {} : { stdin: checkBoolean('stdin', stdin) }),
      ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
    };
    return this.#there(() => LogAttachment.open(this.control, settings));
  }

  logs(options: LogOptions): AsyncIterable<LogEntry<string | Buffer>> {
    const { control } = this;
    return {
      // Checked when it is read: a method that returns an iterator rejects there, and throws nowhere.
      [Symbol.asyncIterator]: async function* () {
        yield* readLogs(control, settleLogs(options));
      },
    };
  }

  async waitFor(conditions: readonly WaitCondition[], options: WaitForOptions): Promise<void> {
    const checks = settleConditions('conditions', conditions);
    await this.#there(() => waitForConditions(this.control, checks, options));
  }

  async port(port: number | string): Promise<PortBinding> {
    return portOf(this.control, port);
  }

  async stats(options: object): Promise<ContainerStats> {
    const { signal } = settleStats(options);
    return this.#there(() => statsOnce(this.control, signal));
  }

  streamStats(options: object): AsyncIterable<ContainerStats> {
    const { control } = this;
    return {
      [Symbol.asyncIterator]: async function* () {
        yield* streamStats(control, settleStats(options));
      },
    };
  }

  async top(): Promise<TopProcess[]> {
    return this.#there(() => topContainer(this.control));
  }

  async diff(options: DiffOptions): Promise<DiffEntry[]> {
    const { signal } = checkOptions('diff', options, ['signal']);
    const settings = signal === undefined ? {} : { signal: checkSignal('signal', signal) };
    return this.#there(() => diffContainer(this.control, settings));
  }

  async copyTo(source: string, destination: string, options: CopyOptions): Promise<CopyResult> {
    const settings = settleCopy('copyTo', options);
    const from = hostSource('source', source);
    const to = containerPath('destination', destination);
    return this.#there(() => copyToContainer(this.control, from, to, settings));
  }

  async copyFrom(source: string, destination: string, options: CopyOptions): Promise<CopyResult> {
    const settings = settleCopy('copyFrom', options);
    const from = containerSource('source', source);
    const to = hostPath('destination', destination);
    return this.#there(() => copyFromContainer(this.control, from, to, settings));
  }

  async archive(path: string, options: ArchiveOptions): Promise<Readable> {
    const settings = settleCopy('archive', options, ['followLinks', 'signal']);
    const from = containerSource('path', path);
    return this.#there(() => archivePath(this.control, from, settings));
  }

  async extract(path: string, tar: NodeJS.ReadableStream, options: ExtractOptions): Promise<void> {
    const { signal } = settleCopy('extract', options, ['signal']);
    const to = containerPath('path', path);
    const bytes = bytesOf('tar', tar);
    await this.#there(() => extractArchive(this.control, to, bytes, signal));
  }

  async export(options: ExportOptions): Promise<Readable> {
    const { signal } = checkOptions('export', options, ['signal']);
    const settings = signal === undefined ? {} : { signal: checkSignal('signal', signal) };
    return this.#there(() => exportContainer(this.control, settings));
  }

  #there<Value>(work: () => Promise<Value>): Promise<Value> {
    return this.control.whileThere(work);
  }

  #assertRunning(): void {
    if (!isRunning(this.control)) {
      throw this.control.notRunning();
    }
  }
}

function settleStop(where: string, options: StopOptions): StopOptions {
  const { stopSignal, timeoutMs, signal } = checkOptions(where, options, ['stopSignal', 'timeoutMs', 'signal']);
  if (stopSignal !== undefined) {
    checkSignalName('stopSignal', stopSignal);
  }
  return {
    ...(stopSignal === undefined ? {} : { stopSignal: stopSignal as string }),
    ...(timeoutMs === undefined ? {} : { timeoutMs: checkDuration('timeoutMs', timeoutMs) }),
    ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
  };
}

/** Shorter would measure the looking. */
const shortestIntervalMs = 10;

function settleStats(options: object): StatsSettings {
  const { stream, intervalMs, signal } = checkOptions('stats', options, ['stream', 'intervalMs', 'signal']);
  if (stream !== undefined) {
    checkBoolean('stream', stream);
  }
  if (intervalMs !== undefined && checkDuration('intervalMs', intervalMs) < shortestIntervalMs) {
    throw invalidOption('intervalMs', intervalMs, `must be at least ${shortestIntervalMs}`);
  }
  return {
    intervalMs: (intervalMs as number | undefined) ?? 1000,
    ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
  };
}

const copyOptionNames = ['archive', 'followLinks', 'signal'] as const;

function settleCopy(where: string, options: object, known: readonly string[] = copyOptionNames): CopySettings {
  const { archive, followLinks, signal } = checkOptions(where, options, known);
  return {
    archive: archive === undefined ? false : checkBoolean('archive', archive),
    followLinks: followLinks === undefined ? false : checkBoolean('followLinks', followLinks),
    ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
  };
}

/** @throws ERR_INVALID_OPTION for what can't be read */
function bytesOf(option: string, stream: unknown): AsyncIterable<Buffer> {
  const readable = stream as AsyncIterable<Buffer | string> | null | undefined;
  if (typeof readable?.[Symbol.asyncIterator] !== 'function') {
    throw invalidOption(option, stream, 'must be a stream of bytes');
  }
  return (async function* () {
    for await (const chunk of readable) {
      yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    }
  })();
}
