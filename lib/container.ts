import type { Readable } from 'node:stream';

import type { Image } from './image';
import type { Attachment } from './run/container-process';
import type { DiffEntry, DiffOptions } from './run/diff';
import type { ExecResult, WaitResult } from './run/exec-result';
import type { CopyResult } from './run/copy';
import type {
  ArchiveOptions,
  AttachOptions,
  ContainerHandle,
  CopyOptions,
  ExportOptions,
  ExtractOptions,
  RemoveOptions,
  StatsOptions,
  StopOptions,
  UpdateOptions,
  WaitForOptions,
  WaitOptions,
} from './run/handle';
import type { ContainerInspect } from './run/inspect';
import type { LogEntry, LogOptions } from './run/log-entry';
import type { ContainerOptions, ExecOptions, SpawnOptions } from './run/options';
import type { ContainerStats } from './run/stats';
import type { TopProcess } from './run/proc-stat';
import type { WaitCondition } from './run/wait-condition';
import { asyncDispose } from './util/dispose';

export interface CommitOptions {
  /** What the image is called; without it, it has its id only. */
  reference?: string;
  /** Over what the container was made with: variables, labels, ports and volumes are joined, all else is replaced. */
  config?: Partial<Image['config']>;
  /** Dockerfile instructions over all that, as `docker commit --change` takes them: `ENV A=b`, `CMD ["run"]`. */
  changes?: readonly string[];
  author?: string;
  /** Stands in the history. */
  message?: string;
  /** Whether a running container stands still for the moment of which the image is. Default: yes, where the host can do that. */
  pause?: boolean;
  signal?: AbortSignal;
}

/** What is absent is the base's, save for its `name`, `reuse`, fixed addresses and host ports. */
export type ForkOptions = Omit<ContainerOptions, 'reuse'>;

export type { UpdateOptions };

/** What a Container makes that belongs to its Runtime. */
export interface ContainerActions {
  commit(options: CommitOptions): Promise<Image>;
  fork(options: ForkOptions): Promise<Container>;
}

/** One container, made here or looked up. */
export class Container implements AsyncDisposable {
  readonly #handle: ContainerHandle;
  readonly #actions: ContainerActions;

  /** @internal */
  constructor(handle: ContainerHandle, actions: ContainerActions) {
    this.#handle = handle;
    this.#actions = actions;
  }

  /** 64 hex digits. */
  get id(): string {
    return this.#handle.id;
  }

  get name(): string {
    return this.#handle.name;
  }

  /** The image as it was named when this container was made. */
  get image(): string {
    return this.#handle.image;
  }

  /** Its process runs and its published ports are forwarded. One that has ended starts again. */
  async start(): Promise<void> {
    await this.#handle.start();
  }

  /** It has ended: by its stop signal, or by SIGKILL once the time-out passed. A no-op when it isn't running. */
  async stop(options: StopOptions = {}): Promise<void> {
    await this.#handle.stop(options);
  }

  /** The signal (default SIGKILL) was sent to its first process. */
  async kill(signalName = 'SIGKILL'): Promise<void> {
    await this.#handle.kill(signalName);
  }

  async restart(options: StopOptions = {}): Promise<void> {
    await this.#handle.restart(options);
  }

  async pause(): Promise<void> {
    await this.#handle.pause();
  }

  async unpause(): Promise<void> {
    await this.#handle.unpause();
  }

  /** Nothing of it is left. Refused while it runs, unless `force`. */
  async remove(options: RemoveOptions = {}): Promise<void> {
    await this.#handle.remove(options);
  }

  /** An owned one is removed by force; a detached, looked-up or reused one is let go. Idempotent. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  async [asyncDispose](): Promise<void> {
    await this.close();
  }

  /** How it ended; from any process, also after the end. */
  async wait(options: WaitOptions = {}): Promise<WaitResult> {
    return this.#handle.wait(options);
  }

  async inspect(): Promise<ContainerInspect> {
    return this.#handle.inspect();
  }

  /** Runs one more process in it to its end. A non-zero exit is a result, unless `check`. */
  async exec(argv: readonly string[], options: ExecOptions & { encoding: 'buffer' }): Promise<ExecResult<Buffer>>;
  async exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult<string | Buffer>> {
    return this.#handle.exec(argv, options);
  }

  /** Runs one more process in it, with live streams; detached, it goes on without them. */
  async spawn(argv: readonly string[], options: SpawnOptions = {}): Promise<Attachment> {
    return this.#handle.spawn(argv, options);
  }

  /** The streams of its first process; before `start()` no byte is missed. */
  async attach(options: AttachOptions = {}): Promise<Attachment> {
    return this.#handle.attach(options);
  }

  logs(options: LogOptions & { encoding: 'buffer' }): AsyncIterable<LogEntry<Buffer>>;
  logs(options?: LogOptions): AsyncIterable<LogEntry>;
  logs(options: LogOptions = {}): AsyncIterable<LogEntry<string | Buffer>> {
    return this.#handle.logs(options);
  }

  /** All conditions are met; rejects at once when it ends first, with its exit code and `logTail`. */
  async waitFor(conditions: WaitCondition | readonly WaitCondition[], options: WaitForOptions = {}): Promise<void> {
    await this.#handle.waitFor(Array.isArray(conditions) ? conditions : [conditions as WaitCondition], options);
  }

  /** Where a published port is reached: `80` or `'53/udp'`. */
  async port(port: number | string): Promise<{ host: string; port: number }> {
    const binding = await this.#handle.port(port);
    return { host: binding.hostAddress, port: binding.hostPort };
  }

  /** What it uses: one look, which takes 100 ms; or a stream of them, which ends when the container does. */
  stats(options: StatsOptions & { stream: true }): AsyncIterable<ContainerStats>;
  stats(options?: StatsOptions & { stream?: false }): Promise<ContainerStats>;
  stats(options: StatsOptions = {}): Promise<ContainerStats> | AsyncIterable<ContainerStats> {
    return options?.stream === true ? this.#handle.streamStats(options) : this.#handle.stats(options);
  }

  /** Its processes, as this host's /proc tells of them: the image needs no ps. */
  async top(): Promise<TopProcess[]> {
    return this.#handle.top();
  }

  /**
   * It has another name from now on, and the old one is free. Others keep seeing the old one in what they looked up before.
   * @throws ERR_NAME_IN_USE · ERR_INVALID_OPTION · ERR_CONTAINER_NOT_FOUND: then it has the name it had
   */
  async rename(name: string): Promise<void> {
    await this.#handle.rename(name);
  }

  /** Its limits and its policy are these now, and stay for its next starts; what is not given stays. All, or nothing. */
  async update(options: UpdateOptions): Promise<void> {
    await this.#handle.update(options);
  }

  /**
   * A file or folder of this host is in the container, running or not, where `docker cp` would put it: into `destination` when that is a
   * folder, else under that name. `source` ending in `/.` is the folder's contents.
   */
  async copyTo(source: string, destination: string, options: CopyOptions = {}): Promise<CopyResult> {
    return this.#handle.copyTo(source, destination, options);
  }

  /** The reverse: `source` is in the container, as its own processes see it. No device nodes are made on this host. */
  async copyFrom(source: string, destination: string, options: CopyOptions = {}): Promise<CopyResult> {
    return this.#handle.copyFrom(source, destination, options);
  }

  /** A file or folder of the container as a tar archive, whose names begin with its own. */
  async archive(path: string, options: ArchiveOptions = {}): Promise<Readable> {
    return this.#handle.archive(path, options);
  }

  /** The members of a tar archive (plain, gzip or zstd) are below `path`, a folder in the container. */
  async extract(path: string, tar: NodeJS.ReadableStream, options: ExtractOptions = {}): Promise<void> {
    return this.#handle.extract(path, tar, options);
  }

  /** What was changed in its files since it was made, running or not; not what is in volumes. */
  async diff(options: DiffOptions = {}): Promise<DiffEntry[]> {
    return this.#handle.diff(options);
  }

  /**
   * Its whole file system as a tar archive, running or not: without what is mounted there, so that volumes, /proc, /sys and /dev are
   * empty folders. Destroying the stream ends the reading.
   */
  async export(options: ExportOptions = {}): Promise<Readable> {
    return this.#handle.export(options);
  }

  /**
   * An image that is the container's own with one more layer: what was changed in the container's files, running or not. What lies in
   * volumes and mounts is not part of it. When it fails nothing is left, and the container is as it was.
   * @throws ERR_INVALID_OPTION · ERR_INVALID_REFERENCE · ERR_IMAGE_NOT_FOUND when its image was removed · ERR_CONTAINER_NOT_FOUND ·
   *   ERR_ARCHIVE · ERR_LAYER over the limits · ERR_NO_SPACE · ABORT_ERR
   */
  async commit(options: CommitOptions = {}): Promise<Image> {
    return this.#actions.commit(options);
  }

  /**
   * A new container, started, of this one's present files, those of its anonymous volumes included, and of its options, which these
   * override. This one stays as it is, and may run again, or be removed, meanwhile. Of one that runs the files are copied, as they are at
   * one moment, for which it stands still for some milliseconds.
   * @throws ERR_INVALID_OPTION · ERR_VOLUME_IN_USE · ERR_CONTAINER_NOT_FOUND · ERR_CONTAINER_RUNNING where it can't stand still ·
   *   ERR_NO_SPACE · ABORT_ERR, and what `run` throws
   */
  async fork(options: ForkOptions = {}): Promise<Container> {
    return this.#actions.fork(options);
  }
}
