import { Socket } from 'node:net';
import { Readable } from 'node:stream';

import { closeFd, pipe } from '../native/binding';
import type { ControlConnection } from '../native/control';
import type { Reply } from '../native/protocol';
import { startTask } from '../native/task';
import { abortable, abortError, onAbort, throwIfAborted } from '../util/abort';
import { fileError } from './file-error';
import { processEnd } from './process';

export interface PackOptions {
  /** A request of the binary's pack mode. Default: `pack`, a tar archive. */
  op?: 'pack' | 'archive' | 'diff';
  /** What to pack, in the words of the binary's pack mode: `{folder, rootless?}`, `{bundle, socket?}`, and for `archive` a `path`. */
  fields: Record<string, unknown>;
  /** The beginning of every error's message: `cannot export container web`. */
  doing: string;
  /** Asked once all is packed: what it throws ends the stream instead. */
  confirm?: () => Promise<void>;
  /** Also destroys the stream. */
  signal?: AbortSignal;
}

/**
 * The tar archive of a tree (or what else pack mode tells of one), as a stream that reads on at its reader's pace. It's open when this resolves: the tree has been found
 * and mounted. Destroying the stream ends the process that reads it; after an error nothing of that is left.
 * @throws ERR_ARCHIVE, ERR_CONTAINER_NOT_RUNNING when the container ended this very moment, ERR_SUPERVISOR, ABORT_ERR
 */
export async function packTree(options: PackOptions): Promise<Readable> {
  throwIfAborted(options.signal);
  const stream = new PackStream(options);
  try {
    await abortable(stream.opened, options.signal);
  } catch (error) {
    stream.destroy();
    await stream.gone;
    throw error;
  }
  return stream;
}

class PackStream extends Readable {
  /** The tree is about to be read. Rejects when that can't be. */
  readonly opened: Promise<void>;
  /** The process has ended. Never rejects. */
  readonly gone: Promise<void>;
  readonly #options: PackOptions;
  readonly #source: Socket;
  readonly #control: ControlConnection;
  readonly #pid: number;
  readonly #reply: Promise<Reply>;
  readonly #release: () => void;
  #tellGone = (): void => undefined;

  constructor(options: PackOptions) {
    super({ highWaterMark: 1024 * 1024 });
    this.#options = options;
    let tellOpened = (): void => undefined;
    const event = new Promise<void>((resolve) => (tellOpened = resolve));
    const { source, pid, control } = startPack(tellOpened);
    this.#source = source;
    this.#pid = pid;
    this.#control = control;
    this.#reply = control.request(options.op ?? 'pack', options.fields);
    this.opened = Promise.race([event, this.#reply.then((reply) => this.#check(reply))]);
    this.opened.catch(() => undefined);
    this.gone = new Promise((resolve) => (this.#tellGone = resolve));
    source.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) source.pause();
    });
    source.on('error', (error) => this.destroy(error));
    source.on('end', () => void this.#finish());
    source.pause();
    this.#release = onAbort(options.signal, () => this.destroy(abortError(options.signal!)));
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#release();
    this.#control.close();
    this.#source.destroy();
    void processEnd(this.#pid).then(() => {
      this.#tellGone();
      done(error);
    });
  }

  /** All bytes have come. Whether these are all there should be, the answer tells. */
  async #finish(): Promise<void> {
    try {
      this.#check(await this.#reply);
      await this.#options.confirm?.();
      this.push(null);
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #check(reply: Reply): void {
    if (!reply.ok) {
      throw fileError(reply.error, this.#options.doing);
    }
  }
}

function startPack(onOpened: () => void): { source: Socket; pid: number; control: ControlConnection } {
  const [readEnd, writeEnd] = pipe();
  try {
    const task = startTask('pack', {
      stdio: [null, writeEnd, null],
      onEvent: ({ event }) => {
        if (event === 'opened') onOpened();
      },
    });
    return { source: new Socket({ fd: readEnd, readable: true, writable: false }), ...task };
  } catch (error) {
    closeFd(readEnd);
    throw error;
  } finally {
    closeFd(writeEnd);
  }
}
