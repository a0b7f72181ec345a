import { DinghyError } from '../errors';
import type { Reference } from '../oci/reference';
import { certificatesFor } from './certificates';
import { Connection } from './connection';
import { findCredentials, type RegistryAuth } from './credentials';
import { type Endpoint, endpointsFor, type RegistrySettings } from './endpoint';
import { responseError } from './errors';
import { discard, HttpSender } from './http';
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
}

/** Talks to registries for one pull or push: connections and tokens last as long as it does. Close it. */
export class RegistryClient {
  readonly #options: RegistryClientOptions;
  readonly #sender = new HttpSender();

  constructor(options: RegistryClientOptions = {}) {
    this.#options = options;
  }

  /**
   * The repository of a reference, on its mirrors and its registry. No request is made yet.
   * @throws ERR_INVALID_OPTION for settings that make no sense
   */
  async repository(reference: Reference, auth?: RegistryAuth): Promise<Repository> {
    const { env = process.env, retry } = this.#options;
    const endpoints = await this.#endpoints(reference.registry);
    const policy = { ...defaultRetry, ...retry };
    const connections = endpoints.map((endpoint) => {
      // What proves itself to the upstream is never shown to a mirror, which has credentials of its own or none.
      const host = endpoint.mirrorOf === undefined ? reference.registry : endpoint.host;
      const path = `${endpoint.prefix}${reference.repository}`;
      return new Connection({
        sender: this.#sender,
        endpoint,
        // There is somebody else to ask, so a mirror isn't waited for.
        retry: endpoint.mirrorOf === undefined ? policy : { ...policy, tries: Math.min(policy.tries, 2) },
        credentials: async (signal) => {
          const explicit = endpoint.mirrorOf === undefined ? auth : undefined;
          return (
            explicit ??
            findCredentials(host, path, { ...(this.#options.auth ? { auth: this.#options.auth } : {}), env }, signal)
          );
        },
      });
    });
    return new Repository(reference.repository, connections, policy);
  }

  /**
   * The registry accepts these credentials. Its mirrors aren't asked.
   * @throws ERR_REGISTRY_AUTH when it doesn't, and what registries answer
   */
  async checkCredentials(registry: string, auth: RegistryAuth, signal?: AbortSignal): Promise<void> {
    const endpoint = (await this.#endpoints(registry)).at(-1)!;
    const connection = new Connection({
      sender: this.#sender,
      endpoint,
      retry: { ...defaultRetry, ...this.#options.retry },
      credentials: async () => auth,
    });
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

  /** Its mirrors, then itself. */
  async #endpoints(registry: string): Promise<Endpoint[]> {
    const { env = process.env, registries = {} } = this.#options;
    const conf = await readRegistriesConf(env);
    const settings = (host: string): RegistrySettings => {
      const given = Object.hasOwn(registries, host) ? registries[host] : undefined;
      return { ...conf(host), ...given };
    };
    return endpointsFor(registry, { settings, env, tlsFor: certificatesFor });
  }
}
