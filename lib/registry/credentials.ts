import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { createLog } from '../log';
import { askHelper } from './credential-helper';

/** What proves who asks: a name with a password, an identity token (OAuth refresh), or a ready bearer token. */
export interface RegistryAuth {
  username?: string;
  password?: string;
  identityToken?: string;
  registryToken?: string;
}

export interface CredentialSources {
  /** By registry host; before every file. */
  auth?: Readonly<Record<string, RegistryAuth>>;
  env?: NodeJS.ProcessEnv;
  home?: string;
}

export interface CredentialFile {
  auths?: unknown;
  credHelpers?: unknown;
  credsStore?: unknown;
}

const log = createLog('registry');
const maxFileBytes = 4 * 1024 * 1024;
// Docker Hub has gone by all of these; `docker login` writes the last.
const dockerHubKeys = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

/**
 * The credentials for a repository, from the first source that has any: those given, then the files of containers and of
 * Docker with their helpers. In one file the longest matching path wins (containers-auth.json(5)).
 */
export async function findCredentials(
  registry: string,
  repository: string,
  sources: CredentialSources,
  signal?: AbortSignal,
): Promise<RegistryAuth | undefined> {
  const hosts = namesOf(registry);
  for (const host of hosts) {
    const given = sources.auth && Object.hasOwn(sources.auth, host) ? sources.auth[host] : undefined;
    if (given) {
      return given;
    }
  }
  for (const path of credentialFiles(sources)) {
    const found = await lookUp(path, hosts, repository, sources, signal);
    if (found) {
      log('credentials for %s from %s', registry, path);
      return found;
    }
  }
  return undefined;
}

/** Every name of the registry, the one it goes by first. */
export function namesOf(registry: string): string[] {
  return dockerHubKeys.includes(registry) ? dockerHubKeys : [registry];
}

/** The file `docker login` writes; REGISTRY_AUTH_FILE stands for it as for every other. */
export function dockerFile({ env = process.env, home = homedir() }: CredentialSources): string {
  return env['REGISTRY_AUTH_FILE'] || join(env['DOCKER_CONFIG'] ?? join(home, '.docker'), 'config.json');
}

/** The files that may hold credentials, first match first. */
export function credentialFiles(sources: CredentialSources): string[] {
  const { env = process.env, home = homedir() } = sources;
  if (env['REGISTRY_AUTH_FILE']) {
    return [env['REGISTRY_AUTH_FILE']];
  }
  const config = env['XDG_CONFIG_HOME'] ?? join(home, '.config');
  return [
    ...(env['XDG_RUNTIME_DIR'] ? [join(env['XDG_RUNTIME_DIR'], 'containers/auth.json')] : []),
    join(config, 'containers/auth.json'),
    dockerFile(sources),
    join(home, '.dockercfg'),
  ];
}

async function lookUp(
  path: string,
  hosts: string[],
  repository: string,
  sources: CredentialSources,
  signal: AbortSignal | undefined,
): Promise<RegistryAuth | undefined> {
  const file = await readCredentialFile(path);
  if (!file) {
    return undefined;
  }
  const auths = new Map(Object.entries(asObject(file.auths)).map(([key, value]) => [normaliseKey(key), value]));
  const { own, store } = helpersOf(file, hosts);
  for (const { name, server } of own) {
    const answer = await askHelper(name, server, sources.env, signal);
    if (answer) {
      return answer;
    }
  }
  for (const key of hosts.flatMap((host) => keysFor(host, repository))) {
    const auth = readAuth(auths.get(key));
    if (auth) {
      return auth;
    }
  }
  return store && askHelper(store.name, store.server, sources.env, signal);
}

/** A credential helper, and what it calls the registry. */
export interface HelperEntry {
  name: string;
  server: string;
}

/** The helpers a file names for a registry of these names: its own (`credHelpers`), and the one of all registries (`credsStore`). */
export function helpersOf(
  { credHelpers, credsStore }: CredentialFile,
  hosts: string[],
): { own: HelperEntry[]; store?: HelperEntry } {
  const helpers = new Map(Object.entries(asObject(credHelpers)));
  const own = hosts.flatMap((server) => {
    const name = helpers.get(server);
    return typeof name === 'string' ? [{ name, server }] : [];
  });
  const isSet = typeof credsStore === 'string' && credsStore !== '';
  return isSet ? { own, store: { name: credsStore, server: serverKey(hosts[0]!) } } : { own };
}

/** What Docker calls a registry in `auths` and before a `credsStore`. */
export function serverKey(registry: string): string {
  return registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry;
}

/** `host/a/b`, `host/a`, `host`. */
function keysFor(host: string, repository: string): string[] {
  const parts = [host, ...repository.split('/')];
  return parts.map((_part, index) => parts.slice(0, parts.length - index).join('/'));
}

export function normaliseKey(key: string): string {
  return key
    .replace(/^https?:\/\//, '')
    .replace(/\/v[12]\/?$/, '')
    .replace(/\/+$/, '');
}

/** A file that is absent, unreadable or damaged is passed over: it may belong to another tool, and anonymous access may do. */
async function readCredentialFile(path: string): Promise<CredentialFile | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length > maxFileBytes) {
      return undefined;
    }
    const content = asObject(JSON.parse(text));
    return path.endsWith('.dockercfg') ? { auths: content } : content;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      log('passed over the credential file %s: %s', path, (error as NodeJS.ErrnoException).code ?? 'not JSON');
    }
    return undefined;
  }
}

function readAuth(value: unknown): RegistryAuth | undefined {
  const entry = asObject(value);
  const text = (key: string): string | undefined => {
    const found = entry[key];
    return typeof found === 'string' && found !== '' ? found : undefined;
  };
  const identityToken = text('identitytoken');
  if (identityToken) {
    return { identityToken };
  }
  const registryToken = text('registrytoken');
  if (registryToken) {
    return { registryToken };
  }
  const encoded = text('auth');
  // Docker for Windows pads the password with NULs.
  const decoded = encoded && Buffer.from(encoded, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = decoded ? decoded.indexOf(':') : -1;
  if (decoded && colon > 0) {
    return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
  }
  const username = text('username');
  const password = text('password');
  return username && password ? { username, password } : undefined;
}

export function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
