export { Container } from './container';
export type { CommitOptions, ForkOptions, UpdateOptions } from './container';
export { DinghyError, isDinghyError } from './errors';
export type { ErrorCode } from './errors';
export { Image } from './image';
export type {
  DamagedImage,
  ImageConfig,
  ImageHistoryEntry,
  ImageInspect,
  ImageRemoval,
  Progress,
  ProgressHandler,
  ProgressPhase,
  PullOptions,
  PullPolicy,
  PushOptions,
  RegistryAuth,
  SaveFormat,
  SaveOptions,
} from './image';
export { Network } from './networks';
export type { ConnectOptions, CreateNetworkOptions, NetworkInspect, NetworksOptions } from './networks';
export type { Attachment, ContainerProcess } from './run/container-process';
export type { DiffEntry, DiffOptions } from './run/diff';
export type { ExecResult, WaitResult } from './run/exec-result';
export type { CopyResult } from './run/copy';
export type {
  ArchiveOptions,
  AttachOptions,
  CopyOptions,
  ExportOptions,
  ExtractOptions,
  RemoveOptions,
  StatsOptions,
  StopOptions,
  WaitForOptions,
  WaitOptions,
} from './run/handle';
export type { ContainerHealth, ContainerInspect, ContainerStatus, HealthProbe, NetworkEndpoint } from './run/inspect';
export type { LogEntry, LogOptions } from './run/log-entry';
export type * from './run/options';
export type { ContainerStats } from './run/stats';
export type { InterfaceStats } from './run/net-dev';
export type { TopProcess } from './run/proc-stat';
export type { PortBinding } from './run/state';
export type * from './run/wait-condition';
export { Runtime } from './runtime';
export type {
  ContainerFilters,
  CreateOptions,
  EventFilters,
  EventOptions,
  ImageFilters,
  ImportOptions,
  LoadOptions,
  PruneOptions,
  PruneResult,
  RestoreResult,
  RegistryOption,
  RunOptions,
  RuntimeEvent,
  RuntimeExecOptions,
  RuntimeInfo,
  RuntimeOptions,
  RuntimeSpawnOptions,
  VerifyOptions,
  VerifyResult,
} from './runtime-options';
export type { UnpackLimits } from './layers/unpack-limits';
export { Volume } from './volumes';
export type { CreateVolumeOptions, VolumeInspect, VolumesOptions } from './volumes';
