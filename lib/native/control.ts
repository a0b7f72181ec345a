import { createConnection, Socket } from 'node:net';

import { DinghyError } from '../errors';
import { encodeFrame, type Frame, FrameDecoder, frameTypes, maxPayload, protocolVersion, type Reply } from './protocol';

export interface ControlOptions {
  /** This connection is a lifeline: when the last one closes, the container ends. */
  hold?: boolean;
  onEvent?: (event: ControlEvent) => void;
}

export interface ControlEvent {
  event: string;
  [field: string]: unknown;
}

export interface ControlRequest {
  op: string;
  fields?: Record<string, unknown>;
}

interface Pending {
  resolve: (reply: Reply) => void;
  reject: (error: unknown) => void;
}

/** The first words on a connection: hello, and maybe requests, which have the ids from 1 on. */
export class Opening {
  readonly bytes: Buffer;
  readonly requests: readonly ControlRequest[];

  constructor({ hold = false }: { hold?: boolean }, requests: readonly ControlRequest[] = []) {
    this.requests = requests;
    this.bytes = Buffer.concat([
      encodeFrame(frameTypes.clientHello, { version: protocolVersion, hold }),
      ...requests.map(({ op, fields }, index) => encodeRequest(index + 1, op, fields)),
    ]);
  }
}

function encodeRequest(id: number, op: string, fields: Record<string, unknown> = {}): Buffer {
  return encodeFrame(frameTypes.request, { id, op, ...fields });
}

/**
 * One connection to the binary. It keeps Node alive while a request is unanswered or somebody called `retain()`, and never
 * otherwise: an idle container must not hold a program open.
 */
export class ControlConnection {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #pending = new Map<number, Pending>();
  readonly #onEvent: (event: ControlEvent) => void;
  readonly #closed: Promise<void>;
  #version = protocolVersion;
  #greeted: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #ended = false;
  #nextId = 1;
  #retained = 0;

  private constructor(socket: Socket, onEvent: ControlOptions['onEvent']) {
    this.#socket = socket;
    this.#onEvent = onEvent ?? (() => undefined);
    let resolveClosed = (): void => undefined;
    this.#closed = new Promise<void>((resolve) => (resolveClosed = resolve));
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // The peer's end and any error mean the same here: 'close' follows and fails what is pending.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#fail();
      resolveClosed();
    });
    socket.unref();
  }

  /**
   * Takes over `fd`, an end of a socketpair whose other end the binary has; `said` was written to it already. The replies are
   * those of its requests, in their order; whoever wants one awaits it.
   */
  static fromDescriptor(
    fd: number,
    said: Opening,
    options: Pick<ControlOptions, 'onEvent'> = {},
  ): { control: ControlConnection; replies: Promise<Reply>[] } {
    const control = new ControlConnection(new Socket({ fd, readable: true, writable: true }), options.onEvent);
    const replies = said.requests.map(() => control.#reply(control.#nextId++));
    for (const reply of replies) {
      reply.catch(() => undefined);
    }
    return { control, replies };
  }

  /**
   * The binary has taken this connection: it answered the hello. One that is about to end takes none, though its socket still
   * accepts.
   * @throws the Node error of connect: ENOENT, ECONNREFUSED and ECONNRESET mean that nobody serves the socket
   */
  static async connect(path: string, options: ControlOptions = {}): Promise<ControlConnection> {
    const socket = createConnection({ path });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.removeAllListeners('error');
    const control = new ControlConnection(socket, options.onEvent);
    const greeted = control.#greeting();
    socket.write(new Opening(options).bytes);
    await greeted;
    return control;
  }

  /** Resolves when the connection is gone, whoever ended it. Never rejects. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** The protocol that the binary speaks: another one than this library's where it is of another version. */
  get version(): number {
    return this.#version;
  }

  get isClosed(): boolean {
    return this.#ended;
  }

  /** The binary's answer, good or bad. @throws ERR_SUPERVISOR when the connection ends first */
  async request(op: string, fields: Record<string, unknown> = {}): Promise<Reply> {
    if (this.#ended) {
      throw connectionLost(op);
    }
    const frame = encodeRequest(this.#nextId, op, fields);
    const reply = this.#reply(this.#nextId++);
    this.#socket.write(frame);
    return reply;
  }

  /** Bytes for the process's stdin; resolves when the kernel has taken them, so that a slow reader slows its writer. */
  async writeStdin(bytes: Buffer): Promise<void> {
    for (let start = 0; start < bytes.length; start += maxPayload) {
      await this.#write(encodeFrame(frameTypes.stdin, bytes.subarray(start, start + maxPayload)));
    }
  }

  async endStdin(): Promise<void> {
    await this.#write(encodeFrame(frameTypes.stdinEnd, Buffer.alloc(0)));
  }

  /** Keeps Node alive until the returned function is called. */
  retain(): () => void {
    if (this.#retained++ === 0) {
      this.#socket.ref();
    }
    let held = true;
    return () => {
      if (held && --this.#retained === 0) {
        this.#socket.unref();
      }
      held = false;
    };
  }

  /** Idempotent. What is pending rejects. */
  close(): void {
    this.#socket.destroy();
    this.#fail();
  }

  async #greeting(): Promise<void> {
    const release = this.retain();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#greeted = { resolve, reject };
      });
    } finally {
      release();
    }
  }

  async #reply(id: number): Promise<Reply> {
    const release = this.retain();
    try {
      return await new Promise<Reply>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    } finally {
      release();
    }
  }

  #write(frame: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(frame, (error) => (error ? reject(error) : resolve()));
    });
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) {
        this.#dispatch(frame);
      }
    } catch {
      this.close(); // what speaks otherwise than the protocol is not our binary
    }
  }

  #dispatch({ type, payload }: Frame): void {
    if (type === frameTypes.serverHello) {
      const { version } = JSON.parse(payload.toString()) as { version?: unknown };
      this.#version = typeof version === 'number' ? version : 0;
      this.#greeted?.resolve();
    } else if (type === frameTypes.reply) {
      const reply = JSON.parse(payload.toString()) as Reply;
      const pending = this.#pending.get(reply.id);
      this.#pending.delete(reply.id);
      pending?.resolve(reply);
    } else if (type === frameTypes.event) {
      this.#onEvent(JSON.parse(payload.toString()) as ControlEvent);
    }
  }

  #fail(): void {
    this.#ended = true;
    this.#greeted?.reject(Object.assign(new Error('nobody answered the hello'), { code: 'ECONNRESET' }));
    for (const { reject } of this.#pending.values()) {
      reject(connectionLost('request'));
    }
    this.#pending.clear();
  }
}

function connectionLost(what: string): DinghyError {
  return new DinghyError({
    code: 'ERR_SUPERVISOR',
    message: `the native process ended before it answered (${what}): it was killed, or it crashed`,
    step: what,
  });
}
