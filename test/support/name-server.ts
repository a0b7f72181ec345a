import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

const headerSize = 12;
const noSuchName = 3;

/** A name server on UDP port 53 of an address: each name it knows has one IPv4 address, no other name exists. */
export class NameServer {
  /** What it was asked for, in order. */
  readonly asked: string[] = [];
  readonly #socket: Socket = createSocket('udp4');

  private constructor(readonly names: Readonly<Record<string, string>>) {
    this.#socket.on('message', (message, client) => {
      this.#socket.send(this.#answer(message), client.port, client.address);
    });
  }

  static async start(address: string, names: Readonly<Record<string, string>>): Promise<NameServer> {
    const server = new NameServer(names);
    server.#socket.bind(53, address);
    await once(server.#socket, 'listening');
    return server;
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #answer(query: Buffer): Buffer {
    const labels: string[] = [];
    let at = headerSize;
    for (let size = query.readUInt8(at); size > 0; size = query.readUInt8(at)) {
      labels.push(query.toString('latin1', at + 1, at + 1 + size));
      at += 1 + size;
    }
    const name = labels.join('.').toLowerCase();
    this.asked.push(name);
    const address = this.names[name];
    const wantsIpv4 = query.readUInt16BE(at + 1) === 1;
    const header = Buffer.alloc(headerSize);
    header.writeUInt16BE(query.readUInt16BE(0), 0);
    header.writeUInt16BE(0x8180 | (address === undefined ? noSuchName : 0), 2);
    header.writeUInt16BE(1, 4);
    if (address === undefined || !wantsIpv4) {
      return Buffer.concat([header, query.subarray(headerSize, at + 5)]);
    }
    header.writeUInt16BE(1, 6);
    // A pointer to the question's name, A, IN, for a minute, four bytes.
    const record = Buffer.from([0xc0, headerSize, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]);
    return Buffer.concat([header, query.subarray(headerSize, at + 5), record]);
  }
}
