import { DinghyError } from '../errors';
import { checkText } from '../util/checks';
import { RegistryClient, type RegistryClientOptions } from './client';
import { forgetCredentials, rememberCredentials } from './credential-file';
import { namesOf, normaliseKey, type RegistryAuth } from './credentials';

/**
 * The registry accepts the credentials, and later pulls and pushes of any program find them where Docker keeps its own.
 * @throws ERR_INVALID_OPTION, ERR_REGISTRY_AUTH when it refuses them (nothing is written then), and what registries answer
 */
export async function login(registry: string, auth: RegistryAuth, options: RegistryClientOptions = {}): Promise<void> {
  const host = registryHost(registry);
  const client = new RegistryClient(options);
  try {
    await client.checkCredentials(host, checkAuth(auth));
  } finally {
    client.close();
  }
  await rememberCredentials(host, auth, { env: options.env });
}

/** The credentials that `login` keeps are gone. True when there were any. @throws ERR_INVALID_OPTION, ERR_REGISTRY_AUTH */
export async function logout(registry: string, env?: NodeJS.ProcessEnv): Promise<boolean> {
  return forgetCredentials(registryHost(registry), { env });
}

// As people write it: https://index.docker.io/v1/, docker.io, registry.example:5000/. Whether it is a host at all the endpoint tells.
function registryHost(registry: string): string {
  return namesOf(normaliseKey(checkText('registry', registry, "must be a host like 'registry.example:5000'")))[0]!;
}

function checkAuth(auth: RegistryAuth): RegistryAuth {
  const { username, password, identityToken, registryToken } = auth ?? {};
  const values = [username, password, identityToken, registryToken].filter((value) => value !== undefined);
  if (!values.every((value) => typeof value === 'string' && value !== '')) {
    throw invalid('auth must hold non-empty strings');
  }
  // A colon ends the name in what is sent and in what is kept (RFC 7617, 2).
  if (username?.includes(':')) {
    throw invalid('auth.username may not contain a colon');
  }
  if (
    identityToken === undefined &&
    registryToken === undefined &&
    (username === undefined || password === undefined)
  ) {
    throw invalid('auth must have username and password, an identityToken, or a registryToken');
  }
  return auth;
}

function invalid(message: string): DinghyError {
  return new DinghyError({ code: 'ERR_INVALID_OPTION', message });
}
