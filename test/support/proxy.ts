import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** A proxy on loopback that knows where the hosts of a test really are. */
export class TestProxy {
  /** `host[:port]` as asked for, and the port of this machine it means. */
  readonly places = new Map<string, number>();
  /** What it was asked for: `CONNECT registry.test:443`, `GET http://registry.test/v2/`. */
  readonly seen: string[] = [];
  readonly headers: IncomingMessage['headers'][] = [];
  /** Proxy-Authorization it wants; without it the answer is 407. */
  authorization?: string;
  /** Its answer to CONNECT, in the place of a tunnel. */
  answer?: string;
  /** It takes CONNECT and never answers. */
  silent = false;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();

  private constructor() {
    this.#server = createServer((incoming, response) => {
      if (!this.#allows(incoming)) {
        response.writeHead(407).end();
        return;
      }
      const url = new URL(incoming.url ?? '');
      const port = this.places.get(url.host);
      const { method, headers } = incoming;
      const outgoing = request({ host: '127.0.0.1', port, method, path: url.pathname + url.search, headers });
      outgoing.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      outgoing.on('error', () => response.destroy());
      incoming.pipe(outgoing);
    });
    this.#server.on('connect', (incoming: IncomingMessage, socket: Duplex) => this.#connect(incoming, socket));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
    });
  }

  static async start(): Promise<TestProxy> {
    const proxy = new TestProxy();
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Clients that are connected to it. */
  get connected(): number {
    return this.#sockets.size;
  }

  reset(): void {
    this.seen.length = this.headers.length = 0;
    this.authorization = this.answer = undefined;
    this.silent = false;
  }

  async stop(): Promise<void> {
    this.#sockets.forEach((socket) => socket.destroy());
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #connect(incoming: IncomingMessage, socket: Duplex): void {
    const allowed = this.#allows(incoming);
    const port = this.places.get(incoming.url ?? '');
    if (this.silent) {
      socket.resume().on('end', () => socket.end());
      return;
    }
    if (this.answer !== undefined || !allowed || port === undefined) {
      socket.end(this.answer ?? `HTTP/1.1 ${allowed ? '502 Bad Gateway' : '407 Who are you'}\r\n\r\n`);
      return;
    }
    const target = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    target.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    socket.on('error', () => target.destroy()).on('close', () => target.destroy());
  }

  #allows(incoming: IncomingMessage): boolean {
    this.seen.push(`${incoming.method} ${incoming.url}`);
    this.headers.push(incoming.headers);
    return this.authorization === undefined || incoming.headers['proxy-authorization'] === this.authorization;
  }
}
