import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { createLog } from '../log';
import type { RegistrySettings } from './endpoint';

interface Entry {
  prefix?: string;
  location?: string;
  insecure?: boolean;
  blocked?: boolean;
  mirrors: { location?: string; insecure?: boolean }[];
}

const log = createLog('registry');

/**
 * Answers for a host what registries.conf (containers-registries.conf(5), version 2) says about it: location, mirrors, insecure,
 * blocked. The user's file takes the place of the system's; files of `registries.conf.d` come after it. Prefixes that name a
 * path or a wildcard are passed over.
 */
export async function readRegistriesConf(env: NodeJS.ProcessEnv): Promise<(host: string) => RegistrySettings> {
  const entries: Entry[] = [];
  for (const path of await configFiles(env)) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) {
      entries.push(...parseRegistriesConf(text));
      log('read %s', path);
    }
  }
  return (host) => settingsFor(host, entries);
}

function settingsFor(host: string, entries: Entry[]): RegistrySettings {
  const entry = entries.findLast((each) => (each.prefix ?? each.location) === host);
  const named = entries.flatMap((each) => each.mirrors).find((mirror) => mirror.location?.split('/')[0] === host);
  if (!entry) {
    return named?.insecure ? { insecure: true } : {};
  }
  const mirrors = entry.mirrors.flatMap((mirror) => (mirror.location ? [mirror.location] : []));
  return {
    ...(entry.insecure ? { insecure: true } : {}),
    ...(entry.blocked ? { blocked: true } : {}),
    ...(entry.location && entry.location !== host ? { location: entry.location } : {}),
    ...(mirrors.length > 0 ? { mirrors } : {}),
  };
}

async function configFiles(env: NodeJS.ProcessEnv): Promise<string[]> {
  if (env['CONTAINERS_REGISTRIES_CONF']) {
    return [env['CONTAINERS_REGISTRIES_CONF']];
  }
  const user = join(env['XDG_CONFIG_HOME'] ?? join(env['HOME'] ?? homedir(), '.config'), 'containers');
  const own = await readFile(join(user, 'registries.conf')).then(
    () => true,
    () => false,
  );
  const main = join(own ? user : '/etc/containers', 'registries.conf');
  const more: string[] = [];
  for (const folder of ['/etc/containers/registries.conf.d', join(user, 'registries.conf.d')]) {
    const names = await readdir(folder).catch(() => [] as string[]);
    more.push(
      ...names
        .filter((name) => name.endsWith('.conf'))
        .sort()
        .map((name) => join(folder, name)),
    );
  }
  return [main, ...more];
}

/** The `[[registry]]` tables of the file: the part of TOML that such files use, and everything else passed over. */
export function parseRegistriesConf(text: string): Entry[] {
  const entries: Entry[] = [];
  let target: Record<string, unknown> = {};
  for (const line of text.split('\n')) {
    const header = /^\s*\[+\s*([\w.-]+)\s*\]+\s*(?:#.*)?$/.exec(line)?.[1];
    if (header === 'registry') {
      const entry: Entry = { mirrors: [] };
      entries.push(entry);
      target = entry as unknown as Record<string, unknown>;
    } else if (header === 'registry.mirror') {
      target = {};
      entries.at(-1)?.mirrors.push(target);
    } else if (header !== undefined) {
      target = {};
    } else {
      readSetting(line, target);
    }
  }
  return entries;
}

function readSetting(line: string, target: Record<string, unknown>): void {
  const match = /^\s*(prefix|location|insecure|blocked)\s*=\s*(?:"([^"\\]*)"|'([^']*)'|(true|false))\s*(?:#.*)?$/.exec(
    line,
  );
  if (!match) {
    return;
  }
  const key = match[1]!;
  const isFlag = key === 'insecure' || key === 'blocked';
  const text = match[2] ?? match[3];
  if (isFlag && match[4] !== undefined) {
    target[key] = match[4] === 'true';
  } else if (!isFlag && text !== undefined) {
    target[key] = text;
  }
}
