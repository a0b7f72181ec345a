import type { Readable } from 'node:stream';

/** Keeps the first `limit` bytes of a stream and drains the rest, so that its writer is never stuck. */
export class OutputCollector {
  readonly #chunks: Buffer[] = [];
  readonly #limit: number;
  #kept = 0;
  #truncated = false;
  readonly ended: Promise<void>;

  constructor(stream: Readable, limit: number) {
    this.#limit = limit;
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    this.ended = new Promise((resolve) => stream.once('close', resolve));
    stream.on('error', () => undefined); // 'close' follows; what came before it is kept
  }

  get isTruncated(): boolean {
    return this.#truncated;
  }

  value(encoding: 'utf8' | 'buffer'): string | Buffer {
    const bytes = Buffer.concat(this.#chunks);
    return encoding === 'buffer' ? bytes : bytes.toString('utf8');
  }

  #take(chunk: Buffer): void {
    const room = this.#limit - this.#kept;
    if (chunk.length > room) {
      this.#truncated = true;
      chunk = chunk.subarray(0, room);
    }
    if (chunk.length > 0) {
      this.#chunks.push(chunk);
      this.#kept += chunk.length;
    }
  }
}
