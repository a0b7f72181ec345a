import { parseDigest } from './digest';
import { type JsonObject, JsonReader } from './json';
import { maxManifestBytes } from './manifest';

/** What an image says about running it, every default filled in (image-spec, config.md). */
export interface ImageConfig {
  /** `NAME=value` */
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** As written: names are resolved in the image's own passwd. Empty means root. */
  readonly user: string;
  /** `/` when the image names none. */
  readonly workdir: string;
  /** `80/tcp` */
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly stopSignal?: string;
  readonly healthcheck?: ImageHealthcheck;
  /** What runs a healthcheck or command given as one string. */
  readonly shell: readonly string[];
}

/** `test` is `['NONE']`, `['CMD', …]` or `['CMD-SHELL', text]`; an absent time means the engine's default. */
export interface ImageHealthcheck {
  readonly test: readonly string[];
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  readonly startPeriodMs?: number;
  readonly startIntervalMs?: number;
  readonly retries?: number;
}

export interface ImageHistoryEntry {
  readonly created?: Date;
  readonly createdBy: string;
  readonly comment: string;
  readonly author: string;
  /** True when this step changed no file, so that no layer belongs to it. */
  readonly emptyLayer: boolean;
}

export interface ImageDocument {
  readonly platform: { readonly os: string; readonly architecture: string; readonly variant?: string };
  readonly created?: Date;
  readonly author: string;
  readonly config: ImageConfig;
  /** Digests of the uncompressed layers, bottom first. */
  readonly diffIds: readonly string[];
  readonly history: readonly ImageHistoryEntry[];
}

/**
 * The image that a config blob describes.
 * @throws ERR_INVALID_IMAGE, ERR_INVALID_DIGEST
 */
export function parseImageConfig(bytes: Uint8Array): ImageDocument {
  const reader = new JsonReader('bad image config', 'ERR_INVALID_IMAGE');
  const object = reader.parse(bytes, maxManifestBytes);
  const rootfs = reader.object(object['rootfs'], 'rootfs');
  if (rootfs['type'] !== 'layers') {
    reader.fail('rootfs.type is not "layers"');
  }
  const diffIds = reader.strings(rootfs['diff_ids'], 'rootfs.diff_ids', 4096);
  diffIds.forEach((diffId) => parseDigest(diffId));
  const variant = reader.optionalString(object['variant'], 'variant');
  const created = readDate(object['created']);
  return {
    platform: {
      os: reader.optionalString(object['os'], 'os') ?? 'linux',
      architecture: reader.optionalString(object['architecture'], 'architecture') ?? '',
      ...(variant === undefined ? {} : { variant }),
    },
    ...(created ? { created } : {}),
    author: reader.optionalString(object['author'], 'author') ?? '',
    config: readConfig(reader, optionalObject(reader, object['config'], 'config')),
    diffIds,
    history: readHistory(reader, object['history']),
  };
}

function readConfig(reader: JsonReader, config: JsonObject): ImageConfig {
  const stopSignal = reader.optionalString(config['StopSignal'], 'config.StopSignal');
  const healthcheck = readHealthcheck(reader, config['Healthcheck']);
  const shell = reader.strings(config['Shell'], 'config.Shell');
  const text = (key: string): string => reader.optionalString(config[key], `config.${key}`) ?? '';
  return {
    env: reader.strings(config['Env'], 'config.Env'),
    entrypoint: reader.strings(config['Entrypoint'], 'config.Entrypoint'),
    command: reader.strings(config['Cmd'], 'config.Cmd'),
    user: text('User'),
    workdir: text('WorkingDir') || '/',
    ports: reader.keys(config['ExposedPorts'], 'config.ExposedPorts'),
    volumes: reader.keys(config['Volumes'], 'config.Volumes'),
    labels: reader.stringMap(config['Labels'], 'config.Labels'),
    ...(stopSignal === undefined ? {} : { stopSignal }),
    ...(healthcheck ? { healthcheck } : {}),
    shell: shell.length > 0 ? shell : ['/bin/sh', '-c'],
  };
}

function readHealthcheck(reader: JsonReader, value: unknown): ImageHealthcheck | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  const object = reader.object(value, 'config.Healthcheck');
  const test = reader.strings(object['Test'], 'config.Healthcheck.Test');
  if (test.length === 0) {
    return undefined; // Docker: inherit from the parent image, of which nothing is known here
  }
  const keys = {
    Interval: 'intervalMs',
    Timeout: 'timeoutMs',
    StartPeriod: 'startPeriodMs',
    StartInterval: 'startIntervalMs',
  } as const;
  const times: Partial<Record<(typeof keys)[keyof typeof keys], number>> = {};
  for (const [key, name] of Object.entries(keys)) {
    const nanoseconds = reader.optionalCount(object[key], `config.Healthcheck.${key}`);
    if (nanoseconds) {
      times[name] = nanoseconds / 1e6;
    }
  }
  const retries = reader.optionalCount(object['Retries'], 'config.Healthcheck.Retries');
  return { test, ...times, ...(retries ? { retries } : {}) };
}

function readHistory(reader: JsonReader, value: unknown): ImageHistoryEntry[] {
  if (value === undefined || value === null) {
    return [];
  }
  return reader.array(value, 'history', 16384).map((each, index) => {
    const field = `history[${index}]`;
    const entry = reader.object(each, field);
    const created = readDate(entry['created']);
    const text = (key: string): string => reader.optionalString(entry[key], `${field}.${key}`) ?? '';
    return {
      ...(created ? { created } : {}),
      createdBy: text('created_by'),
      comment: text('comment'),
      author: text('author'),
      emptyLayer: entry['empty_layer'] === true,
    };
  });
}

function optionalObject(reader: JsonReader, value: unknown, field: string): JsonObject {
  return value === undefined || value === null ? {} : reader.object(value, field);
}

/** Only shown to people, so a date that can't be read is no date instead of an error. */
function readDate(value: unknown): Date | undefined {
  const date = typeof value === 'string' ? new Date(value) : undefined;
  return date && !Number.isNaN(date.getTime()) ? date : undefined;
}
