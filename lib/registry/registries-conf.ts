import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { createLog } from '../log';
import { storeError, unlessMissing } from '../util/files';
import { parseRegistriesConf, type RegistryEntry } from './registries-conf-parser';

const log = createLog('registry');

/** What registries.conf says: its entries by their prefixes. */
export type RegistriesConf = ReadonlyMap<string, RegistryEntry>;

/**
 * The entries of the files of containers-registries.conf(5). The user's file takes the place of the system's with its folder of
 * drop-ins; a later file replaces the entries that have the same prefix. CONTAINERS_REGISTRIES_CONF names the one file to read.
 * @throws ERR_INVALID_OPTION for a damaged file: it may be the one that blocks a registry
 */
export async function readRegistriesConf(env: NodeJS.ProcessEnv): Promise<RegistriesConf> {
  const entries = new Map<string, RegistryEntry>();
  for (const path of await configFiles(env)) {
    const text = await readIfThere(path);
    if (text !== undefined) {
      log('read %s', path);
      for (const entry of parseRegistriesConf(text, path)) {
        entries.set(entry.prefix, entry);
      }
    }
  }
  return entries;
}

/**
 * The entry for a name as the store keeps it (`docker.io/library/nginx:1.18`): of those whose prefix it starts with, the one with the
 * longest. `rest` is what follows the prefix and belongs after a location, without tag and digest.
 */
export function findEntry(conf: RegistriesConf, name: string): { entry: RegistryEntry; rest: string } | undefined {
  let best: { entry: RegistryEntry; rest: string } | undefined;
  for (const entry of conf.values()) {
    const rest = afterPrefix(name, entry.prefix);
    if (rest !== undefined && (!best || entry.prefix.length > best.entry.prefix.length)) {
      best = { entry, rest };
    }
  }
  return best;
}

function afterPrefix(name: string, prefix: string): string | undefined {
  const slash = name.indexOf('/');
  const path = name.slice(slash).replace(/[:@].*$/, '');
  if (prefix.startsWith('*.')) {
    const [, host = '', port = ''] = /^(.*?)(:\d+)?$/.exec(name.slice(0, slash)) ?? [];
    return host.endsWith(prefix.slice(1)) ? port + path : undefined;
  }
  // After a host a colon starts a port, and another port is another registry; after a path it starts the tag.
  const separators = prefix.includes('/') ? /^(?:$|[/:@])/ : /^(?:$|\/)/;
  const rest = name.slice(prefix.length);
  return name.startsWith(prefix) && separators.test(rest) ? rest.replace(/[:@].*$/, '') : undefined;
}

async function configFiles(env: NodeJS.ProcessEnv): Promise<string[]> {
  if (env['CONTAINERS_REGISTRIES_CONF']) {
    return [env['CONTAINERS_REGISTRIES_CONF']];
  }
  const user = join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'containers');
  const own = join(user, 'registries.conf');
  if ((await readIfThere(own)) !== undefined) {
    return [own, ...(await dropIns(user))];
  }
  const system = '/etc/containers';
  return [join(system, 'registries.conf'), ...(await dropIns(system)), ...(await dropIns(user))];
}

async function dropIns(folder: string): Promise<string[]> {
  const path = join(folder, 'registries.conf.d');
  const names = await readdir(path).catch(() => [] as string[]);
  return names
    .filter((name) => name.endsWith('.conf'))
    .sort()
    .map((name) => join(path, name));
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await unlessMissing(readFile(path, 'utf8'));
  } catch (error) {
    if (['ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) {
      return undefined;
    }
    throw storeError(error, `read ${path}`);
  }
}
