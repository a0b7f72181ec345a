import { mkdir, readFile, realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

import { DinghyError } from '../errors';
import { unlessMissing, writeFileAtomically } from '../util/files';
import { eraseFromHelper, storeWithHelper } from './credential-helper';
import {
  asObject,
  type CredentialFile,
  type CredentialSources,
  dockerHubKeys,
  normaliseKey,
  type RegistryAuth,
  serverKey,
} from './credentials';

type Sources = Omit<CredentialSources, 'auth'>;

/**
 * Pulls and pushes use these credentials from now on, and so do Docker and its relatives: they stand in Docker's config.json (or in
 * REGISTRY_AUTH_FILE), or with the helper that this file names for the registry, and then no secret is in the file. What else is
 * in the file stays.
 * @throws ERR_REGISTRY_AUTH when the file is damaged, when it can't be written, or when the helper fails
 */
export async function rememberCredentials(registry: string, auth: RegistryAuth, sources: Sources = {}): Promise<void> {
  const { path, content } = await open(sources);
  const helper = helperFor(content, registry);
  if (helper !== undefined) {
    await storeWithHelper(helper, serverFor(content, registry), auth, sources.env);
  }
  const entry = helper === undefined ? toEntry(auth) : {};
  await write(path, { ...content, auths: { ...asObject(content.auths), [serverKey(registry)]: entry } });
}

/** The credentials for the registry are in that file no more, nor with its helper. True when there were any. */
export async function forgetCredentials(registry: string, sources: Sources = {}): Promise<boolean> {
  const { path, content } = await open(sources);
  const helper = helperFor(content, registry);
  const erased = helper !== undefined && (await eraseFromHelper(helper, serverFor(content, registry), sources.env));
  const hosts = registry === 'docker.io' ? dockerHubKeys : [registry];
  const entries = Object.entries(asObject(content.auths));
  const kept = entries.filter(([key]) => !hosts.includes(normaliseKey(key)));
  if (kept.length !== entries.length) {
    await write(path, { ...content, auths: Object.fromEntries(kept) });
  }
  return erased || kept.length !== entries.length;
}

function helperFor({ credHelpers, credsStore }: CredentialFile, registry: string): string | undefined {
  const helpers = asObject(credHelpers);
  const own = Object.hasOwn(helpers, registry) ? helpers[registry] : undefined;
  const name = own ?? credsStore;
  return typeof name === 'string' && name !== '' ? name : undefined;
}

// As credentials.ts asks them: a helper of one registry by its host, the one of all by what Docker calls the registry.
function serverFor({ credHelpers }: CredentialFile, registry: string): string {
  return Object.hasOwn(asObject(credHelpers), registry) ? registry : serverKey(registry);
}

function toEntry({ identityToken, registryToken, username = '', password = '' }: RegistryAuth): object {
  if (registryToken !== undefined) {
    return { registrytoken: registryToken };
  }
  const auth = Buffer.from(`${username}:${identityToken === undefined ? password : ''}`).toString('base64');
  return identityToken === undefined ? { auth } : { auth, identitytoken: identityToken };
}

/** The file is written where it really is: people keep it in a repository of dotfiles, behind a symbolic link. */
async function open({
  env = process.env,
  home = homedir(),
}: Sources): Promise<{ path: string; content: CredentialFile }> {
  const named = env['REGISTRY_AUTH_FILE'] ?? join(env['DOCKER_CONFIG'] ?? join(home, '.docker'), 'config.json');
  try {
    const path = (await unlessMissing(realpath(named))) ?? named;
    const text = (await unlessMissing(readFile(path, 'utf8'))) ?? '{}';
    const content: unknown = JSON.parse(text.trim() === '' ? '{}' : text);
    if (typeof content === 'object' && content !== null && !Array.isArray(content)) {
      return { path, content };
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined) {
      throw fileError(`cannot read ${named}: ${code}`, error);
    }
    // told below, without the parser's message: it would quote a secret
  }
  throw fileError(`${named} is not a JSON object: mend it or move it away; it was left as it is`);
}

async function write(path: string, content: CredentialFile): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // Closed to others whatever it was before: it holds a secret now.
    await writeFileAtomically(path, `${JSON.stringify(content, undefined, '\t')}\n`);
  } catch (error) {
    throw fileError(`cannot write the credentials to ${path}`, error);
  }
}

function fileError(message: string, cause?: unknown): DinghyError {
  return new DinghyError({ code: 'ERR_REGISTRY_AUTH', message, ...(cause === undefined ? {} : { cause }) });
}
