import type * as Toml from 'smol-toml';

import { DinghyError } from '../errors';
import { isPlainObject, type PlainObject } from '../util/checks';

const mirrorUses = ['all', 'digest-only', 'tag-only'] as const;

/** A place that keeps what is below a prefix: a host with an optional path. */
export interface RegistryMirror {
  location: string;
  insecure: boolean;
  /** Which references it is asked for. */
  use: (typeof mirrorUses)[number];
}

/** A `[[registry]]` table. */
export interface RegistryEntry {
  /** `example.com`, `example.com/team`, `*.example.com`. */
  prefix: string;
  /** Where it really is, if not there. */
  location?: string;
  insecure: boolean;
  blocked: boolean;
  /** First to be asked first. */
  mirrors: RegistryMirror[];
}

/**
 * The `[[registry]]` tables of one file, in version 2 of the format or in version 1, which only knows hosts that are insecure or
 * blocked. Of tables with one prefix the first counts. Settings about short names are passed over: here they always mean docker.io.
 * @param path for messages
 * @throws ERR_INVALID_OPTION, naming the file
 */
export function parseRegistriesConf(text: string, path: string): RegistryEntry[] {
  const fail = (why: string): never => {
    throw new DinghyError({ code: 'ERR_INVALID_OPTION', message: `${path} cannot be used: ${why}`, details: { path } });
  };
  // Only those who have such a file pay for it.
  const { parse } = require('smol-toml') as typeof Toml;
  let document: PlainObject;
  try {
    document = parse(text);
  } catch (error) {
    return fail(`it is not TOML: ${(error as Error).message.split('\n', 1)[0]}`);
  }
  const entries = new Map<string, RegistryEntry>();
  const reader: Reader = { fail };
  for (const table of [...tables(reader, document, 'registry'), ...versionOne(document)]) {
    const entry = readEntry(reader, table);
    if (!entries.has(entry.prefix)) {
      entries.set(entry.prefix, entry);
    }
  }
  return [...entries.values()];
}

interface Reader {
  fail: (why: string) => never;
}

function readEntry(reader: Reader, table: PlainObject): RegistryEntry {
  const location = place(reader, table, 'location');
  const prefix = place(reader, table, 'prefix') ?? location;
  if (prefix === undefined) {
    return reader.fail('a [[registry]] has neither prefix nor location');
  }
  if (prefix.replace(/^\*\./, '').includes('*') || /^\*\..*[/:@]/.test(prefix)) {
    return reader.fail(
      `prefix ${JSON.stringify(prefix)}: a wildcard stands before a domain only, as in "*.example.com"`,
    );
  }
  const digestOnly = flag(reader, table, 'mirror-by-digest-only');
  return {
    prefix,
    ...(location === undefined || location === prefix ? {} : { location }),
    insecure: flag(reader, table, 'insecure'),
    blocked: flag(reader, table, 'blocked'),
    mirrors: tables(reader, table, 'mirror').map((mirror) => readMirror(reader, mirror, prefix, digestOnly)),
  };
}

function readMirror(reader: Reader, table: PlainObject, prefix: string, digestOnly: boolean): RegistryMirror {
  const location = place(reader, table, 'location');
  const use = table['pull-from-mirror'] || undefined;
  if (location === undefined) {
    return reader.fail(`a mirror of ${prefix} has no location`);
  }
  if (use !== undefined && digestOnly) {
    return reader.fail(
      `${prefix} has mirror-by-digest-only, and its mirror ${location} pull-from-mirror: one is too much`,
    );
  }
  if (use !== undefined && !mirrorUses.includes(use as never)) {
    return reader.fail(`pull-from-mirror of ${location} is none of ${mirrorUses.join(', ')}`);
  }
  return {
    location,
    insecure: flag(reader, table, 'insecure'),
    use: digestOnly ? 'digest-only' : ((use as RegistryMirror['use'] | undefined) ?? 'all'),
  };
}

function* versionOne({ registries }: PlainObject): Generator<PlainObject> {
  for (const key of ['insecure', 'block'] as const) {
    const list = isPlainObject(registries) && isPlainObject(registries[key]) ? registries[key]['registries'] : [];
    for (const location of Array.isArray(list) ? (list as unknown[]) : []) {
      yield { location, [key === 'block' ? 'blocked' : key]: true };
    }
  }
}

function tables(reader: Reader, table: PlainObject, key: string): PlainObject[] {
  const value = table[key] ?? [];
  if (!Array.isArray(value) || !value.every(isPlainObject)) {
    return reader.fail(`${key} is no array of tables`);
  }
  return value;
}

function flag(reader: Reader, table: PlainObject, key: string): boolean {
  const value = table[key] ?? false;
  return typeof value === 'boolean' ? value : reader.fail(`${key} is neither true nor false`);
}

function place(reader: Reader, table: PlainObject, key: string): string | undefined {
  const value = table[key];
  if (value === undefined || value === '') {
    return undefined;
  }
  if (typeof value !== 'string' || value.includes('://')) {
    return reader.fail(`${key} is no host with an optional path; it has no scheme`);
  }
  return value.replace(/\/+$/, '');
}
