import type { Readable } from 'node:stream';

import type { Attachment } from './container-process';
import type { CopyResult } from './copy';
import type { DiffEntry, DiffOptions } from './diff';
import type { ExecResult, WaitResult } from './exec-result';
import type { ContainerInspect } from './inspect';
import type { LogEntry, LogOptions } from './log-entry';
import type { ContainerOptions, ExecOptions, SpawnOptions } from './options';
import type { TopProcess } from './proc-stat';
import type { PortBinding } from './state';
import type { ContainerStats } from './stats';
import type { WaitCondition } from './wait-condition';

export interface StopOptions {
  /** Default: the container's own, else the image's, else SIGTERM. */
  stopSignal?: string;
  /** Before SIGKILL. Default: the container's own, else 10000. */
  timeoutMs?: number;
  /** Stops waiting; the container goes on stopping. */
  signal?: AbortSignal;
}

export interface RemoveOptions {
  /** Kill it first when it runs. */
  force?: boolean;
  /** Also its anonymous volumes. */
  volumes?: boolean;
}

/** What is absent stays. -1 is no limit for `memorySwap` and `pids`. */
export type UpdateOptions = Pick<
  ContainerOptions,
  'memory' | 'memoryReservation' | 'memorySwap' | 'cpus' | 'cpuShares' | 'cpuset' | 'pids' | 'restart'
>;

export interface WaitOptions {
  /** `'not-running'` (the default), `'next-exit'`, or `'removed'`. */
  condition?: 'not-running' | 'next-exit' | 'removed';
  signal?: AbortSignal;
}

export interface WaitForOptions {
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface AttachOptions {
  /** Take the container's stdin, if it was made with `openStdin`. */
  stdin?: boolean;
  signal?: AbortSignal;
}

export interface CopyOptions {
  /** Owners, set-id bits and attributes stay as they are, as far as this user may. Else what is copied is the container's root's, or yours. */
  archive?: boolean;
  /** A link that is the source is copied as what it leads to. */
  followLinks?: boolean;
  signal?: AbortSignal;
}

export interface ArchiveOptions {
  followLinks?: boolean;
  /** Destroys the stream. */
  signal?: AbortSignal;
}

export interface ExtractOptions {
  signal?: AbortSignal;
}

export interface StatsOptions {
  stream?: boolean;
  /** Of a stream: between one and the next. Default 1000. */
  intervalMs?: number;
  signal?: AbortSignal;
}

export interface ExportOptions {
  /** Destroys the stream. */
  signal?: AbortSignal;
}

/** One container on disk and, when it lives, its supervisor: what a Container is made from. */
export interface ContainerHandle {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  start(): Promise<void>;
  stop(options: StopOptions): Promise<void>;
  kill(signalName: string): Promise<void>;
  restart(options: StopOptions): Promise<void>;
  update(options: UpdateOptions): Promise<void>;
  pause(): Promise<void>;
  unpause(): Promise<void>;
  remove(options: RemoveOptions): Promise<void>;
  rename(name: string): Promise<void>;
  close(): Promise<void>;
  wait(options: WaitOptions): Promise<WaitResult>;
  inspect(): Promise<ContainerInspect>;
  exec(argv: readonly string[], options: ExecOptions): Promise<ExecResult<string | Buffer>>;
  spawn(argv: readonly string[], options: SpawnOptions): Promise<Attachment>;
  attach(options: AttachOptions): Promise<Attachment>;
  logs(options: LogOptions): AsyncIterable<LogEntry<string | Buffer>>;
  waitFor(conditions: readonly WaitCondition[], options: WaitForOptions): Promise<void>;
  port(port: number | string): Promise<PortBinding>;
  stats(options: object): Promise<ContainerStats>;
  streamStats(options: object): AsyncIterable<ContainerStats>;
  top(): Promise<TopProcess[]>;
  diff(options: DiffOptions): Promise<DiffEntry[]>;
  copyTo(source: string, destination: string, options: CopyOptions): Promise<CopyResult>;
  copyFrom(source: string, destination: string, options: CopyOptions): Promise<CopyResult>;
  archive(path: string, options: ArchiveOptions): Promise<Readable>;
  extract(path: string, tar: NodeJS.ReadableStream, options: ExtractOptions): Promise<void>;
  export(options: ExportOptions): Promise<Readable>;
}
