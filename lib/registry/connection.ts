import { DinghyError, isDinghyError } from '../errors';
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
  /** It has said what it wants. */
  challenged: boolean;
  /** It was not asked now: it may have changed. */
  remembered: boolean;
  /** Nor was it ever. */
  guessed: boolean;
  /** It has turned out to be wrong. */
  forgotten: boolean;
}

const log = createLog('registry');
const maxRedirects = 10;

/** Authorized, patient requests to one server. */
export class Connection {
  readonly endpoint: Endpoint;
  readonly #options: ConnectionOptions;
  #ready: SharedTask<Ready> | undefined;
  /** What was remembered or guessed has turned out to be wrong. */
  #mustAsk = false;

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
      let ready: Ready | undefined;
      try {
        ready = await this.#connect(request, signal);
        const { registry, authenticator } = ready;
        const authorization = await authenticator.authorization(scope, signal);
        const response = await this.#follow(registry, request, authorization);
        const challenge = response.status === 401 ? response.header('www-authenticate') : undefined;
        if (challenge === undefined && isUnexpected(response.status, ready)) {
          this.#forget(ready);
          if (await this.#wantsOtherwise(response, ready, request)) {
            attempt--;
            await discard(response);
            continue;
          }
        }
        if (response.status === 401 && !refreshed && authorization?.startsWith('Basic ') !== true) {
          // The token ran out, or this registry asks only on the real request.
          refreshed = !ready.guessed;
          attempt--;
          await discard(response);
          authenticator.refused(scope, authorization);
          authenticator.challenge(challenge);
          this.#learn(ready, challenge);
          continue;
        }
        wait = (request.once ? response.status === 429 : isRetryableStatus(response.status))
          ? retryDelayMs(this.#options.retry, attempt, response.header('retry-after'))
          : undefined;
        if (wait === undefined) {
          if (response.status < 400) {
            this.#learn(ready);
          }
          return response;
        }
        log('%s answered %d, again in %d ms', this.endpoint.host, response.status, wait);
        await discard(response);
      } catch (error) {
        if (signal?.aborted) {
          throw error;
        }
        // Where there is but one address, asking it would fail as well.
        const elsewhere = ready?.remembered && !(ready.guessed && this.endpoint.bases.length === 1);
        if (ready && elsewhere && !request.once && !isDinghyError(error) && networkErrorCode(error) !== undefined) {
          attempt--;
          this.#forget(ready);
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
    const { registry } = await this.#connect({ doing: 'find the registry' }, signal);
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

  async #connect(request: Pick<RegistryRequest, 'doing' | 'method' | 'once'>, signal?: AbortSignal): Promise<Ready> {
    const harmless = !request.once && ['GET', 'HEAD'].includes(request.method ?? 'GET');
    const ready = await this.#getReady(request.doing, harmless, signal);
    if (!ready.guessed || harmless) {
      return ready;
    }
    // What changes something is sent to a registry that was asked what it wants.
    this.#forget(ready);
    return this.#getReady(request.doing, false, signal);
  }

  async #getReady(doing: string, mayGuess: boolean, signal: AbortSignal | undefined): Promise<Ready> {
    if (!this.#ready || this.#ready.ended) {
      const task = new SharedTask<Ready>((shared) => {
        return this.#findManner(doing, mayGuess, shared).catch((error: unknown) => {
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

  /** It is asked before the next request, unless another one has found that out already. */
  #forget(ready: Ready): void {
    if (!ready.forgotten) {
      ready.forgotten = true;
      this.#mustAsk = true;
      this.#options.known?.forget(this.endpoint);
      this.#ready = undefined;
    }
  }

  /** Asked now, the registry says something that the request, which got this answer, did not heed: it is to be sent again. */
  async #wantsOtherwise(response: HttpResponse, ready: Ready, request: RegistryRequest): Promise<boolean> {
    if (response.status === 401) {
      return true;
    }
    try {
      const asked = await this.#connect(request, request.signal);
      return asked.challenged || asked.registry.url.href !== ready.registry.url.href;
    } catch (error) {
      response.body.destroy();
      throw error;
    }
  }

  /** A guess was good; with a challenge it's as good as an answer to a ping. */
  #learn(ready: Ready, challenge?: string): void {
    if (ready.guessed) {
      const { url } = ready.registry;
      ready.guessed = challenge === undefined;
      this.#options.known?.set(this.endpoint, {
        url,
        ...(challenge === undefined ? { guessed: true } : { challenge }),
      });
    }
  }

  async #findManner(doing: string, mayGuess: boolean, signal: AbortSignal): Promise<Ready> {
    const known = this.#mustAsk ? undefined : this.#options.known?.get(this.endpoint);
    if (known) {
      return this.#readyFor(known, true);
    }
    const [url, ...others] = this.endpoint.bases;
    // Most speak as one would think, and say what they want when it is missing: that saves the ping. On loopback a wrong guess is
    // told at once; elsewhere one with two addresses is an insecure one, of which the better may not answer for long.
    if (mayGuess && !this.#mustAsk && url && (others.length === 0 || url.protocol === 'http:')) {
      return this.#readyFor({ url, guessed: true }, true);
    }
    return this.#ping(doing, signal);
  }

  /** GET /v2/ tells which scheme is spoken and which credentials are wanted (distribution-spec, "Determining Support"). */
  async #ping(doing: string, signal: AbortSignal): Promise<Ready> {
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

  #readyFor({ url, challenge, guessed }: RegistryManner, remembered: boolean): Ready {
    const { sender, credentials } = this.#options;
    const { insecure, tls } = this.endpoint;
    const registry: TrustedOrigin = { url, insecure };
    const authenticator = new Authenticator({ sender, registry, tls, credentials });
    if (challenge !== undefined) {
      authenticator.challenge(challenge);
    }
    return {
      registry,
      authenticator,
      challenged: challenge !== undefined,
      remembered,
      guessed: guessed === true,
      forgotten: false,
    };
  }
}

/**
 * Without a challenge: some say only at a ping what they want (gcr.io), and some hide what they have from those who bring no credentials.
 * Whoever was asked has said it already.
 */
function isUnexpected(status: number, { remembered, guessed }: Ready): boolean {
  return (remembered && status === 401) || (guessed && status >= 400 && status < 500 && status !== 429);
}

function checkRedirectOf(response: HttpResponse, from: URL, registry: TrustedOrigin): URL {
  try {
    return checkRedirect(response.header('location'), from, registry);
  } catch (error) {
    response.body.destroy();
    throw error;
  }
}
