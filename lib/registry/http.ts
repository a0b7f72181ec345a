import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';

import { DinghyError, isDinghyError } from '../errors';
import { abortError } from '../util/abort';
import { proxyFor, shownProxy } from './proxy';
import { ForwardAgent, proxyRefusal, TunnelAgent } from './proxy-agent';
import type * as Vendored from '../vendor/got';

export interface TlsSettings {
  /** PEM, beside the system's own authorities. */
  ca?: string[];
  certificate?: string;
  key?: string;
  /** Take any certificate: only for registries that the user named insecure. */
  insecure?: boolean;
}

export type HttpMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type HttpBody = string | Buffer | Readable;

export interface HttpRequest {
  url: URL;
  method?: HttpMethod;
  headers?: Record<string, string | undefined>;
  /** A stream is destroyed when the request has ended, however it ended; its length stands in the headers. */
  body?: HttpBody;
  tls?: TlsSettings;
  signal?: AbortSignal;
}

export interface HttpResponse {
  status: number;
  url: URL;
  header(name: string): string | undefined;
  /** Exactly the bytes sent: no content decoding. Read it, `discard` it or destroy it. */
  body: Readable;
}

const keepAlive = { keepAlive: true };

interface Agents {
  http: HttpAgent;
  https: HttpAgent;
}

// Silence of a server is bounded, a transfer's length is not: a layer over a slow line takes what it takes.
const timeouts = { lookup: 20_000, connect: 20_000, secureConnect: 20_000, response: 60_000, socket: 60_000 };

/** Sends single requests, over connections that are kept for the next; follows nothing, retries nothing, knows no credentials. */
export class HttpSender {
  readonly #env: NodeJS.ProcessEnv;
  readonly #direct = { http: new HttpAgent(keepAlive), https: new HttpsAgent(keepAlive) };
  readonly #proxied = new Map<string, Agents>();

  /** @param env where HTTP_PROXY and company stand */
  constructor(env: NodeJS.ProcessEnv = {}) {
    this.#env = env;
  }

  /**
   * Resolves with the head of the answer, whatever its status.
   * @throws ABORT_ERR, or the network's own error (`isNetworkError`)
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const { url, signal, tls = {} } = request;
    if (signal?.aborted) {
      throw abortError(signal);
    }
    const proxy = proxyFor(url, this.#env);
    const stream = loadGot().stream(url, {
      method: request.method ?? 'GET',
      headers: { 'user-agent': 'dinghy', ...request.headers },
      // Without a body got waits for one to be written, if the method may have one.
      ...(request.body === undefined && ['GET', 'HEAD'].includes(request.method ?? 'GET')
        ? {}
        : { body: request.body ?? '' }),
      throwHttpErrors: false,
      followRedirect: false,
      decompress: false,
      retry: { limit: 0 },
      timeout: timeouts,
      agent: proxy ? this.#agentsFor(proxy) : this.#direct,
      ...(url.protocol === 'https:' ? { https: tlsOptions(tls) } : {}),
      ...(signal ? { signal } : {}),
    });
    return new Promise((resolve, reject) => {
      // Stays for good: after the head a lost connection is told to whoever reads the body, and would otherwise be uncaught.
      stream.on('error', (error: Error) => {
        reject(signal?.aborted ? abortError(signal) : proxy ? throughProxy(error, proxy) : ownError(error));
      });
      if (request.body instanceof Readable) {
        const { body } = request;
        stream.once('close', () => body.destroy());
      }
      stream.once('response', (response) => {
        const header = (name: string): string | undefined => {
          const value = response.headers[name];
          return Array.isArray(value) ? value.join(', ') : value;
        };
        const status = response.statusCode ?? 0;
        if (proxy && status === 407) {
          stream.destroy();
          reject(proxyRefusal(proxy, status, url.host));
        } else {
          resolve({ status, url, header, body: stream });
        }
      });
    });
  }

  /** Idle connections are closed. Requests under way end by their own signals. */
  close(): void {
    for (const { http, https } of [this.#direct, ...this.#proxied.values()]) {
      http.destroy();
      https.destroy();
    }
  }

  #agentsFor(proxy: URL): Agents {
    const known = this.#proxied.get(proxy.href);
    const agents = known ?? { http: new ForwardAgent(proxy, keepAlive), https: new TunnelAgent(proxy, keepAlive) };
    this.#proxied.set(proxy.href, agents);
    return agents;
  }
}

/** The whole body. @throws ERR_REGISTRY when it is longer than `maxBytes`; it is not read further then */
export async function readBody(response: HttpResponse, maxBytes: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new DinghyError({
        code: 'ERR_REGISTRY',
        message: `${response.url.host} sent a ${what} of more than ${maxBytes} bytes, which is not a plausible one`,
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The answer is not wanted; a short one is read so that its connection can serve the next request. */
export async function discard(response: HttpResponse): Promise<void> {
  await readBody(response, 64 * 1024, 'body').catch(() => response.body.destroy());
}

/** The system's name for what went wrong on the way (`ECONNREFUSED`, `ETIMEDOUT`, `CERT_HAS_EXPIRED`), if it is such an error. */
export function networkErrorCode(error: unknown): string | undefined {
  for (
    let each: unknown = error;
    typeof each === 'object' && each !== null;
    each = (each as { cause?: unknown }).cause
  ) {
    const code = (each as { code?: unknown }).code;
    if (typeof code === 'string' && code !== 'ERR_READING_RESPONSE_STREAM') {
      return code;
    }
  }
  return undefined;
}

/** Names the proxy, where it is the one that didn't answer. */
function throughProxy(error: Error, proxy: URL): unknown {
  const code = networkErrorCode(error);
  const own = ownError(error);
  if (own !== error || code === undefined) {
    return own;
  }
  // In the place of got's own, which leads to the agent and so to the proxy's password.
  return Object.assign(new Error(error.message, { cause: error.cause }), { code, proxy: shownProxy(proxy) });
}

/** What our own code threw on the way (a body that cannot be read) is told as it is. */
function ownError(error: Error): unknown {
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (isDinghyError(each)) {
      return each;
    }
  }
  return error;
}

function tlsOptions(tls: TlsSettings): Record<string, unknown> {
  return {
    rejectUnauthorized: tls.insecure !== true,
    // A given authority would replace Node's built-in ones; the two belong together, as in Docker.
    ...(tls.ca && tls.ca.length > 0 ? { certificateAuthority: [...rootCertificates, ...tls.ca] } : {}),
    ...(tls.certificate ? { certificate: tls.certificate } : {}),
    ...(tls.key ? { key: tls.key } : {}),
  };
}

let loaded: Vendored.Got | undefined;

// Loading it takes tens of milliseconds, which only those who talk to a registry should pay.
function loadGot(): Vendored.Got {
  loaded ??= (require('../vendor/got.js') as typeof Vendored).got;
  return loaded;
}
