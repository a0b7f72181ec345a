import { DinghyError } from '../errors';
import type { Reference } from '../oci/reference';
import { certificatesFor } from './certificates';
import { Connection } from './connection';
import { findCredentials, type RegistryAuth } from './credentials';
import { type Endpoint, type EndpointOptions, pullEndpoints, pushEndpoint, type RegistrySettings } from './endpoint';
import { responseError } from './errors';
import { discard, HttpSender } from './http';
import type { KnownRegistries } from './known-registries';
import { PushTarget } from './push-target';
import { Repository } from './repository';
import { readRegistriesConf } from './registries-conf';
import { defaultRetry, type RetryPolicy } from './retry';

export interface RegistryClientOptions {
  /** By registry host; before registries.conf. */
  registries?: Readonly<Record<string, RegistrySettings>>;
  /** By registry host; before the credential files. */
  auth?: Readonly<Record<string, RegistryAuth>>;
  env?: NodeJS.ProcessEnv;
  retry?: Partial<RetryPolicy>;
  /** What is found out about registries is kept there for the next client. */
  known?: KnownRegistries;
  /** Of uploads, where the registry asks for no larger ones. */
  chunkBytes?: number;
}

/** Talks to registries for one pull or push: connections and tokens last as long as it does. Close it. */
export class RegistryClient {
  readonly #options: RegistryClientOptions;
  readonly #sender: HttpSender;

  constructor(options: RegistryClientOptions = {}) {
    this.#options = options;
    this.#sender = new HttpSender(options.env ?? process.env);
  }

  /**
   * The repository of a reference, on its mirrors and its registry. No request is made yet.
   * @throws ERR_INVALID_OPTION for settings that make no sense
   */
  async repository(reference: Reference, auth?: RegistryAuth): Promise<Repository> {
    const endpoints = pullEndpoints(reference, await this.#endpointOptions());
    const connections = endpoints.map((endpoint) => this.#connect(endpoint, reference.registry, auth));
    return new Repository(reference.repository, connections, this.#policy);
  }

  /**
   * The repository of a reference, to be pushed to: at the registry itself. No request is made yet.
   * @throws ERR_INVALID_OPTION, ERR_REGISTRY when it is blocked
   */
  async pushTarget(reference: Reference, auth?: RegistryAuth): Promise<PushTarget> {
    const endpoint = pushEndpoint(reference, await this.#endpointOptions());
    return new PushTarget(this.#connect(endpoint, reference.registry, auth), this.#policy, this.#options.chunkBytes);
  }

  /**
   * The registry accepts these credentials. Its mirrors aren't asked.
   * @throws ERR_REGISTRY_AUTH when it doesn't, and what registries answer
   */
  async checkCredentials(registry: string, auth: RegistryAuth, signal?: AbortSignal): Promise<void> {
    const reference: Reference = { original: registry, registry, repository: '' };
    const endpoint = pushEndpoint(reference, await this.#endpointOptions());
    const connection = this.#connect(endpoint, registry, auth);
    const doing = `log in to ${registry}`;
    const response = await connection.request({ path: '', scope: '', doing, ...(signal ? { signal } : {}) });
    if (response.status === 401 || response.status === 403) {
      await discard(response);
      throw new DinghyError({
        code: 'ERR_REGISTRY_AUTH',
        message: `cannot ${doing}: it does not accept this name and password (or token)`,
        details: { status: response.status, host: endpoint.host },
      });
    }
    if (response.status !== 200) {
      throw await responseError(response, doing);
    }
    await discard(response);
  }

  close(): void {
    this.#sender.close();
  }

  #connect(endpoint: Endpoint, registry: string, auth: RegistryAuth | undefined): Connection {
    const { env = process.env, auth: given, known } = this.#options;
    const isMirror = endpoint.mirrorOf !== undefined;
    // What proves itself to the upstream is never shown to a mirror, which has credentials of its own or none.
    const host = isMirror ? endpoint.host : registry;
    const explicit = isMirror ? undefined : auth;
    return new Connection({
      sender: this.#sender,
      endpoint,
      // There is somebody else to ask, so a mirror isn't waited for.
      retry: isMirror ? { ...this.#policy, tries: Math.min(this.#policy.tries, 2) } : this.#policy,
      credentials: async (signal) =>
        explicit ?? findCredentials(host, endpoint.repository, { ...(given ? { auth: given } : {}), env }, signal),
      ...(known ? { known } : {}),
    });
  }

  get #policy(): RetryPolicy {
    return { ...defaultRetry, ...this.#options.retry };
  }

  async #endpointOptions(): Promise<EndpointOptions> {
    const { env = process.env, registries = {} } = this.#options;
    return { conf: await readRegistriesConf(env), registries, env, tlsFor: (host) => certificatesFor(host, env) };
  }
}
