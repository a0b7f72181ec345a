import {
  Agent as HttpAgent,
  type AgentOptions,
  type ClientRequest,
  request as httpRequest,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';

import { DinghyError } from '../errors';
import { proxyAuthorization, shownProxy } from './proxy';

// Written here because of what the packages for it do: one hands what the proxy answers to CONNECT on as if the registry had said it
// (a challenge in it would send the password to wherever it says) and shows requests with their credentials under DEBUG=*; another
// leaves the CONNECT of an aborted request open.

const connectMs = 20_000;

type Created = (error: Error | null, stream: Duplex) => void;

/** Connections to https servers through a proxy: a tunnel (RFC 9110, 9.3.6), and in it TLS with the server itself. */
export class TunnelAgent extends HttpsAgent {
  readonly #proxy: URL;
  readonly #connecting = new Set<ClientRequest>();

  constructor(proxy: URL, options: AgentOptions) {
    super(options);
    this.#proxy = proxy;
  }

  override createConnection(options: RequestOptions, callback?: Created): undefined {
    const host = options.host?.includes(':') ? `[${options.host}]` : options.host;
    const target = `${host}:${options.port}`;
    const connecting = this.#connect(target);
    this.#connecting.add(connecting);
    const settle = (error: Error | null, stream?: Duplex | null): void => {
      this.#connecting.delete(connecting);
      callback?.(error, stream!); // which there is where there is no error
    };
    connecting.once('error', settle);
    connecting.once('connect', ({ statusCode = 0 }, socket: Socket, head: Buffer) => {
      connecting.off('error', settle);
      if (statusCode !== 200) {
        socket.destroy();
        settle(proxyRefusal(this.#proxy, statusCode, target));
        return;
      }
      socket.setTimeout(0);
      socket.unshift(head);
      settle(null, super.createConnection({ ...options, socket } as RequestOptions));
    });
    connecting.end();
  }

  /** Also of those that are still being made. */
  override destroy(): void {
    this.#connecting.forEach((each) => each.destroy());
    super.destroy();
  }

  #connect(target: string): ClientRequest {
    const { protocol, hostname, port } = this.#proxy;
    const authorization = proxyAuthorization(this.#proxy);
    const send = protocol === 'https:' ? httpsRequest : httpRequest;
    const connecting = send({
      method: 'CONNECT',
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port || (protocol === 'https:' ? 443 : 80),
      path: target,
      headers: { host: target, ...(authorization ? { 'proxy-authorization': authorization } : {}) },
      agent: false,
      timeout: connectMs,
    });
    return connecting.once('timeout', () => {
      connecting.destroy(
        Object.assign(new Error(`no answer from the proxy ${shownProxy(this.#proxy)}`), { code: 'ETIMEDOUT' }),
      );
    });
  }
}

/** Connections to a proxy that is asked for http URLs, which stand whole in the request line (RFC 9112, 3.2.2). */
export class ForwardAgent extends HttpAgent {
  readonly #proxy: URL;

  constructor(proxy: URL, options: AgentOptions) {
    super(options);
    this.#proxy = proxy;
  }

  /** What the client calls with each request, before its head is written. */
  addRequest(request: ClientRequest, options: RequestOptions): void {
    const { protocol, hostname, port } = this.#proxy;
    const authorization = proxyAuthorization(this.#proxy);
    request.path = `http://${String(request.getHeader('host'))}${request.path}`;
    if (authorization) {
      request.setHeader('proxy-authorization', authorization);
    }
    const host = hostname.replace(/^\[|\]$/g, '');
    const place = { host, hostname: host, port: Number(port || (protocol === 'https:' ? 443 : 80)) };
    (HttpAgent.prototype as unknown as Requestable).addRequest.call(this, request, { ...options, ...place });
  }

  override createConnection(options: RequestOptions, callback?: Created): Duplex | null | undefined {
    const { protocol, hostname } = this.#proxy;
    if (protocol === 'http:') {
      return super.createConnection(options, callback);
    }
    const { host, port } = options as { host: string; port: number };
    return connectTls({ host, port, servername: isIP(host) === 0 ? hostname : '' });
  }
}

/** The error for what a proxy answered in the place of the server. */
export function proxyRefusal(proxy: URL, status: number, target: string): DinghyError {
  const hint = status === 407 ? ': it wants a user name and a password, which stand in the URL of the proxy' : '';
  return new DinghyError({
    code: 'ERR_REGISTRY_UNREACHABLE',
    message: `the proxy ${shownProxy(proxy)} answered ${status} when asked for ${target}${hint}`,
    details: { status },
  });
}

// What the client calls on an agent, and its declared type leaves out.
interface Requestable {
  addRequest(request: ClientRequest, options: RequestOptions): void;
}
