import type { Descriptor } from './descriptor';
import { digestOf } from './digest';
import type { ImageHealthcheck, ImageHistoryEntry } from './image-config';
import { mediaTypes, ociLayerType } from './media-types';
import type { Platform } from './platform';

/** What a new image says about running it; what is absent it doesn't say. */
export interface NewImageConfig {
  readonly env?: Readonly<Record<string, string>>;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  /** `80/tcp` */
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly stopSignal?: string;
  readonly healthcheck?: ImageHealthcheck;
}

/** The whole of what an image may say; what is for builders alone is not a user's to give. */
export interface FullImageConfig extends NewImageConfig {
  /** Instructions for whoever builds on it. */
  readonly onBuild?: readonly string[];
  /** What runs a health check or command given as one string. */
  readonly shell?: readonly string[];
}

/** One step that made an image; each has a layer, unless it changed no file. */
export type NewHistoryEntry = Partial<ImageHistoryEntry>;

export interface NewImage {
  readonly platform: Platform;
  readonly created: Date;
  readonly author?: string;
  readonly config: FullImageConfig;
  /** Bottom first. */
  readonly layers: readonly { readonly diffId: string; readonly blob: Descriptor }[];
  /** The oldest step first. */
  readonly history: readonly NewHistoryEntry[];
}

/** The blobs that make an image of its layers' blobs. */
export interface ComposedImage {
  readonly config: Buffer;
  readonly manifest: Buffer;
  /** Of the manifest. */
  readonly descriptor: Descriptor;
}

/** An OCI image of these layers (image-spec, config.md and manifest.md). The same parts give the same bytes. */
export function composeImage({ platform, created, author, config, layers, history }: NewImage): ComposedImage {
  const configBytes = toBytes({
    created: created.toISOString(),
    ...(author ? { author } : {}),
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    config: configObject(config),
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: history.map(historyObject),
  });
  const manifest = toBytes({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: digestOf(configBytes), size: configBytes.length },
    layers: layers.map(({ blob: { mediaType, digest, size } }) => ({
      mediaType: ociLayerType(mediaType),
      digest,
      size,
    })),
  });
  return {
    config: configBytes,
    manifest,
    descriptor: { mediaType: mediaTypes.ociManifest, digest: digestOf(manifest), size: manifest.length, platform },
  };
}

function historyObject({ created, createdBy, comment, author, emptyLayer }: NewHistoryEntry): Record<string, unknown> {
  return withoutEmpty({
    created: created?.toISOString(),
    created_by: createdBy,
    comment,
    author,
    empty_layer: emptyLayer || undefined,
  });
}

function configObject(config: FullImageConfig): Record<string, unknown> {
  const { env, entrypoint, command, user, workdir, ports, volumes, labels, stopSignal, healthcheck } = config;
  return withoutEmpty({
    User: user,
    ExposedPorts: keySet(ports),
    Env: env && Object.entries(env).map(([name, value]) => `${name}=${value}`),
    Entrypoint: entrypoint,
    Cmd: command,
    Volumes: keySet(volumes),
    WorkingDir: workdir,
    Labels: labels,
    StopSignal: stopSignal,
    Healthcheck: healthcheck && healthcheckObject(healthcheck),
    OnBuild: config.onBuild,
    Shell: config.shell,
  });
}

function healthcheckObject(healthcheck: ImageHealthcheck): Record<string, unknown> {
  const nanoseconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms * 1e6);
  return withoutEmpty({
    Test: healthcheck.test,
    Interval: nanoseconds(healthcheck.intervalMs),
    Timeout: nanoseconds(healthcheck.timeoutMs),
    StartPeriod: nanoseconds(healthcheck.startPeriodMs),
    StartInterval: nanoseconds(healthcheck.startIntervalMs),
    Retries: healthcheck.retries,
  });
}

function keySet(names: readonly string[] | undefined): Record<string, object> | undefined {
  return names && Object.fromEntries(names.map((name) => [name, {}]));
}

function withoutEmpty(object: Record<string, unknown>): Record<string, unknown> {
  const isEmpty = (value: unknown): boolean =>
    value === undefined || value === '' || (typeof value === 'object' && Object.keys(value!).length === 0);
  return Object.fromEntries(Object.entries(object).filter(([, value]) => !isEmpty(value)));
}

function toBytes(object: unknown): Buffer {
  return Buffer.from(JSON.stringify(object));
}
