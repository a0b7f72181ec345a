import { DinghyError } from '../errors';
import { createLog } from '../log';
import { sleep } from '../util/abort';
import { Authenticator } from './authenticator';
import type { RegistryAuth } from './credentials';
import type { Endpoint } from './endpoint';
import { isCertificateFault, requestError } from './errors';
import { discard, type HttpBody, type HttpMethod, type HttpResponse, type HttpSender, networkErrorCode } from './http';
import type { KnownRegistries, RegistryManner } from './known-registries';
import { isRetryableNetworkError, isRetryableStatus, retryDelayMs, type RetryPolicy } from './retry';
import { SharedTask } from './shared-task';
import { checkRedirect, type TrustedOrigin } from './url-safety';

export interface ConnectionOptions {
  sender: HttpSender;
  endpoint: Endpoint;
  retry: RetryPolicy;
  credentials: (signal: AbortSignal) => Promise<RegistryAuth | undefined>;
  /** What earlier clients found out. */
  known?: KnownRegistries;
}

export interface RegistryRequest {
  /** Below `/v2/`: `library/nginx/manifests/1.18`; or an address from `locate`. */
  path: string | URL;
  method?: HttpMethod;
  headers?: Record<string, string>;
  /** Makes it anew for each time it is sent. */
  body?: () => HttpBody;
  /**
   * True for what must not be sent twice when nobody knows how much of it has arrived: then a lost connection is an error, and a
   * failing server an answer, at the first time. A server that refuses (401, 429) has taken nothing.
   */
  once?: boolean;
  scope: string;
  /** For messages: `fetch the manifest of nginx:1.18`. */
  doing: string;
  signal?: AbortSignal;
}

interface Ready {
  registry: TrustedOrigin;
  authenticator: Authenticator;
  /** It was not asked now: it may have changed. */
  remembered: boolean;
}

const log = createLog('registry');
const maxRedirects = 10;

/** Authorized, patient requests to one server. */
export class Connection {
  readonly endpoint: Endpoint;
  readonly #options: ConnectionOptions;
  #ready: SharedTask<Ready> | undefined;

  constructor(options: ConnectionOptions) {
    this.endpoint = options.endpoint;
    this.#options = options;
  }

  /**
   * The answer, after redirects, once the server stops asking for credentials or patience; any status is an answer.
   * @throws ERR_REGISTRY_UNREACHABLE, ERR_REGISTRY_AUTH, ERR_REGISTRY_UNSAFE, ABORT_ERR
   */
  async request(request: RegistryRequest): Promise<HttpResponse> {
    const { signal, scope, doing } = request;
    let refreshed = false;
    for (let attempt = 1; ; attempt++) {
      let wait: number | undefined;
      let remembered = false;
      try {
        const ready = await this.#connect(doing, signal);
        const { registry, authenticator } = ready;
        remembered = ready.remembered;
        const authorization = await authenticator.authorization(scope, signal);
        const response = await this.#follow(registry, request, authorization);
        if (response.status === 401 && remembered && response.header('www-authenticate') === undefined) {
          // Some say only at a ping what they want (gcr.io).
          attempt--;
          await discard(response);
          this.#forget();
          continue;
        }
        if (response.status === 401 && !refreshed && authorization?.startsWith('Basic ') !== true) {
          // The token ran out, or this registry asks only on the real request.
          refreshed = true;
          attempt--;
          await discard(response);
          authenticator.refused(scope, authorization);
          authenticator.challenge(response.header('www-authenticate'));
          continue;
        }
        wait = (request.once ? response.status === 429 : isRetryableStatus(response.status))
          ? retryDelayMs(this.#options.retry, attempt, response.header('retry-after'))
          : undefined;
        if (wait === undefined) {
          return response;
        }
        log('%s answered %d, again in %d ms', this.endpoint.host, response.status, wait);
        await discard(response);
      } catch (error) {
        if (signal?.aborted) {
          throw error;
        }
        if (remembered && !request.once && networkErrorCode(error) !== undefined) {
          attempt--;
          this.#forget();
          continue;
        }
        const passing = !request.once && isRetryableNetworkError(networkErrorCode(error));
        wait = passing ? retryDelayMs({ ...this.#options.retry, tries: 3 }, attempt) : undefined;
        if (wait === undefined) {
          throw requestError(error, this.endpoint.host, doing);
        }
        log('%s: %s, again in %d ms', this.endpoint.host, networkErrorCode(error), wait);
      }
      await sleep(wait, signal);
    }
  }

  /**
   * The address that an answer names for what comes next, when it is safe to go there.
   * @throws ERR_REGISTRY_UNSAFE
   */
  async locate(response: HttpResponse, signal?: AbortSignal): Promise<URL> {
    const { registry } = await this.#connect('find the registry', signal);
    return checkRedirect(response.header('location'), response.url, registry);
  }

  async #follow(registry: TrustedOrigin, request: RegistryRequest, authorization?: string): Promise<HttpResponse> {
    const { method = 'GET', body } = request;
    const followed = method === 'GET' || method === 'HEAD' ? [301, 302, 303, 307, 308] : [307, 308];
    let url = new URL(request.path, registry.url);
    if (this.endpoint.mirrorOf !== undefined) {
      url.searchParams.set('ns', this.endpoint.mirrorOf);
    }
    // Kept only while the origin stays the same; once left it isn't sent again even if a redirect leads back.
    let credentials = url.origin === registry.url.origin ? authorization : undefined;
    for (let hop = 0; hop <= maxRedirects; hop++) {
      const response = await this.#options.sender.send({
        url,
        method,
        ...(body ? { body: body() } : {}),
        headers: { ...request.headers, ...(credentials === undefined ? {} : { authorization: credentials }) },
        tls:
          url.origin === registry.url.origin
            ? this.endpoint.tls
            : { ...(this.endpoint.tls.ca ? { ca: this.endpoint.tls.ca } : {}) },
        ...(request.signal ? { signal: request.signal } : {}),
      });
      if (!followed.includes(response.status)) {
        return response;
      }
      const next = checkRedirectOf(response, url, registry);
      await discard(response);
      if (next.origin !== url.origin) {
        credentials = undefined;
      }
      url = next;
    }
    throw new DinghyError({
      code: 'ERR_REGISTRY_UNSAFE',
      message: `cannot ${request.doing}: ${this.endpoint.host} redirects more than ${maxRedirects} times`,
    });
  }

  async #connect(doing: string, signal: AbortSignal | undefined): Promise<Ready> {
    if (!this.#ready || this.#ready.ended) {
      const task = new SharedTask<Ready>((shared) => {
        return this.#ping(doing, shared).catch((error: unknown) => {
          if (this.#ready === task) {
            this.#ready = undefined;
          }
          throw error;
        });
      });
      this.#ready = task;
    }
    return this.#ready.wait(signal);
  }

  #forget(): void {
    this.#options.known?.forget(this.endpoint);
    this.#ready = undefined;
  }

  /** GET /v2/ tells which scheme is spoken and which credentials are wanted (distribution-spec, "Determining Support"). */
  async #ping(doing: string, signal: AbortSignal): Promise<Ready> {
    const manner = this.#options.known?.get(this.endpoint);
    if (manner) {
      return this.#readyFor(manner, true);
    }
    let failure: unknown;
    for (const base of this.endpoint.bases) {
      try {
        return await this.#pingAt(base, signal);
      } catch (error) {
        if (signal.aborted) {
          throw error;
        }
        // On loopback http is tried first; that a registry with TLS doesn't speak it is not what is wrong with it.
        failure = isCertificateFault(networkErrorCode(error)) ? error : (failure ?? error);
      }
    }
    throw requestError(failure, this.endpoint.host, doing);
  }

  async #pingAt(base: URL, signal: AbortSignal): Promise<Ready> {
    const { endpoint } = this;
    const response = await this.#options.sender.send({ url: base, tls: endpoint.tls, signal });
    await discard(response);
    if (response.status === 400 && base.protocol === 'http:' && endpoint.bases.length > 1) {
      throw new DinghyError({ code: 'ERR_REGISTRY', message: `${endpoint.host} does not speak plain http` });
    }
    log('%s: /v2/ answered %d over %s', endpoint.host, response.status, base.protocol);
    const challenge = response.status === 401 ? response.header('www-authenticate') : undefined;
    const manner = { url: base, ...(challenge === undefined ? {} : { challenge }) };
    if (response.status === 200 || response.status === 401) {
      this.#options.known?.set(endpoint, manner);
    }
    return this.#readyFor(manner, false);
  }

  #readyFor({ url, challenge }: RegistryManner, remembered: boolean): Ready {
    const { sender, credentials } = this.#options;
    const { insecure, tls } = this.endpoint;
    const registry: TrustedOrigin = { url, insecure };
    const authenticator = new Authenticator({ sender, registry, tls, credentials });
    if (challenge !== undefined) {
      authenticator.challenge(challenge);
    }
    return { registry, authenticator, remembered };
  }
}

function checkRedirectOf(response: HttpResponse, from: URL, registry: TrustedOrigin): URL {
  try {
    return checkRedirect(response.header('location'), from, registry);
  } catch (error) {
    response.body.destroy();
    throw error;
  }
}
