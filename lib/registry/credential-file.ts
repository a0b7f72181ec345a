import { mkdir, readFile, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';

import { DinghyError } from '../errors';
import { storeError, unlessMissing, writeFileAtomically } from '../util/files';
import { eraseFromHelper, storeWithHelper } from './credential-helper';
import {
  asObject,
  type CredentialFile,
  type CredentialSources,
  dockerFile,
  type HelperEntry,
  helpersOf,
  namesOf,
  normaliseKey,
  type RegistryAuth,
  serverKey,
} from './credentials';

type Sources = Omit<CredentialSources, 'auth'>;

/**
 * Pulls and pushes use these credentials from now on, and so do Docker and its relatives: they stand in Docker's config.json (or in
 * REGISTRY_AUTH_FILE), or with the helper that this file names for the registry, and then no secret is in the file. What else is
 * in the file stays.
 * @throws ERR_REGISTRY_AUTH when the file is damaged or the helper fails; ERR_STORE, ERR_NO_SPACE when it can't be written
 */
export async function rememberCredentials(registry: string, auth: RegistryAuth, sources: Sources = {}): Promise<void> {
  const { path, content } = await open(sources);
  // A helper keeps a name and a secret; a ready bearer token has no name, and stands in the file.
  const helper = auth.registryToken === undefined ? helperOf(content, registry) : undefined;
  if (helper) {
    await storeWithHelper(helper.name, helper.server, auth, sources.env);
  }
  const entry = helper ? {} : toEntry(auth);
  await write(path, { ...content, auths: { ...asObject(content.auths), [serverKey(registry)]: entry } });
}

/** The credentials for the registry are in that file no more, nor with its helper. True when there were any. */
export async function forgetCredentials(registry: string, sources: Sources = {}): Promise<boolean> {
  const { path, content } = await open(sources);
  const helper = helperOf(content, registry);
  const erased = helper !== undefined && (await eraseFromHelper(helper.name, helper.server, sources.env));
  const names = namesOf(registry);
  const entries = Object.entries(asObject(content.auths));
  const kept = entries.filter(([key]) => !names.includes(normaliseKey(key)));
  if (kept.length !== entries.length) {
    await write(path, { ...content, auths: Object.fromEntries(kept) });
  }
  return erased || kept.length !== entries.length;
}

function helperOf(content: CredentialFile, registry: string): HelperEntry | undefined {
  const { own, store } = helpersOf(content, namesOf(registry));
  return own[0] ?? store;
}

function toEntry({ identityToken, registryToken, username = '', password = '' }: RegistryAuth): object {
  if (registryToken !== undefined) {
    return { registrytoken: registryToken };
  }
  const auth = Buffer.from(`${username}:${identityToken === undefined ? password : ''}`).toString('base64');
  return identityToken === undefined ? { auth } : { auth, identitytoken: identityToken };
}

/** The file is written where it really is: people keep it in a repository of dotfiles, behind a symbolic link. */
async function open(sources: Sources): Promise<{ path: string; content: CredentialFile }> {
  const named = dockerFile(sources);
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
      throw storeError(error, `read ${named}`);
    }
    // told below, without the parser's message: it would quote a secret
  }
  throw new DinghyError({
    code: 'ERR_REGISTRY_AUTH',
    message: `${named} is not a JSON object: mend it or move it away; it was left as it is`,
  });
}

async function write(path: string, content: CredentialFile): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw storeError(error, `make ${dirname(path)}`);
  }
  // Closed to others whatever it was before: it holds a secret now.
  await writeFileAtomically(path, `${JSON.stringify(content, undefined, '\t')}\n`);
}
