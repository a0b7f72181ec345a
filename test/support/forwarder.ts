import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands before a real registry, writes down what is asked, and can cut the line in the midst of an upload. */
export class Forwarder {
  readonly seen: { method: string; path: string; status: number; range?: string }[] = [];
  /** The body of a PATCH ends after this many bytes, and the line with it, this many times. */
  cut: { afterBytes: number; times: number } = { afterBytes: 0, times: 0 };
  readonly #target: string;
  readonly #server: Server;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((incoming, response) => this.#forward(incoming, response));
  }

  /** @param target `host:port` */
  static async start(target: string): Promise<Forwarder> {
    const forwarder = new Forwarder(target);
    await new Promise<void>((resolve) => forwarder.#server.listen(0, '127.0.0.1', resolve));
    return forwarder;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #forward(incoming: IncomingMessage, response: ServerResponse): void {
    const { method = '', url: path = '', headers } = incoming;
    const [hostname, port] = this.#target.split(':');
    // With our own Host the registry's Location leads back here.
    const outgoing = request({ hostname, port, method, path, headers }, (answer) => {
      this.seen.push({ method, path, status: answer.statusCode ?? 0, range: headers['content-range'] });
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    outgoing.on('error', () => response.destroy());
    if (method !== 'PATCH' || this.cut.times === 0 || Number(headers['content-length']) <= this.cut.afterBytes) {
      incoming.pipe(outgoing);
      return;
    }
    this.cut.times--;
    let left = this.cut.afterBytes;
    incoming.on('data', (chunk: Buffer) => {
      outgoing.write(chunk.subarray(0, left));
      left -= Math.min(left, chunk.length);
      if (left === 0) {
        incoming.removeAllListeners('data').resume();
        // Once that much has arrived at the registry.
        setTimeout(() => [outgoing, incoming.socket].forEach((each) => each.destroy()), 100);
      }
    });
  }
}
