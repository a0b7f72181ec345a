// The control protocol between Node and the supervisor binary: frames in and out of a byte stream. The numbers are those of
// addon/supervisor/protocol.h (a native test compares the two); ARCHITECTURE.md has the meaning of every request.

export const protocolVersion = 1;

/**
 * What means the same in every version: a container outlives an upgrade of this library, and can still be watched, ended and
 * removed. Whatever else is asked of a supervisor of another version is refused, by both sides.
 */
export const lastingOps: ReadonlySet<string> = new Set(['state', 'subscribe', 'signal', 'stop', 'remove', 'release']);

/** u32 length of the payload, u16 type, u16 zero; little-endian. */
export const headerSize = 8;
export const maxPayload = 1048576;

export const frameTypes = {
  clientHello: 1,
  request: 2,
  stdin: 3,
  stdinEnd: 4,
  serverHello: 101,
  reply: 102,
  event: 103,
} as const;

export type FrameType = (typeof frameTypes)[keyof typeof frameTypes];

/** What the binary could not do. */
export interface ProtocolError {
  /** In the words of the kernel or of the OCI specification: `pivot_root`, `mount /proc`, `bind port`. */
  step: string;
  /** The positive kernel number, or 0. */
  errno: number;
  message: string;
  /** 126 or 127 where a command could not be run. */
  exitCode?: number;
  path?: string;
}

export type Reply =
  { id: number; ok: true; [field: string]: unknown } | { id: number; ok: false; error: ProtocolError };

/** A frame's bytes: JSON for an object, as they are for a Buffer. @throws RangeError over 1 MiB of payload */
export function encodeFrame(type: FrameType, payload: object | Buffer): Buffer {
  const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload));
  if (bytes.length > maxPayload) {
    throw new RangeError(`a frame of ${bytes.length} bytes: at most ${maxPayload} are allowed`);
  }
  const header = Buffer.alloc(headerSize);
  header.writeUInt32LE(bytes.length, 0);
  header.writeUInt16LE(type, 4);
  return Buffer.concat([header, bytes]);
}

export interface Frame {
  type: number;
  payload: Buffer;
}

/** Cuts a stream of chunks into frames. A stream that breaks the protocol cannot be followed any further: close it. */
export class FrameDecoder {
  #chunks: Buffer[] = [];
  #size = 0;

  /** The frames that are complete with `chunk`. @throws RangeError when the stream is not one of frames */
  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const frames: Frame[] = [];
    while (this.#size >= headerSize) {
      const length = this.#peekLength();
      if (this.#size < headerSize + length) {
        break;
      }
      const frame = this.#take(headerSize + length);
      frames.push({ type: frame.readUInt16LE(4), payload: frame.subarray(headerSize) });
    }
    return frames;
  }

  #peekLength(): number {
    if ((this.#chunks[0]?.length ?? 0) < headerSize) {
      this.#chunks = [Buffer.concat(this.#chunks)];
    }
    const header = this.#chunks[0]!;
    const length = header.readUInt32LE(0);
    if (length > maxPayload || header.readUInt16LE(6) !== 0) {
      throw new RangeError('what arrived on the control socket is not a frame');
    }
    return length;
  }

  #take(size: number): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#size -= size;
    this.#chunks = this.#size > 0 ? [all.subarray(size)] : [];
    return all.subarray(0, size);
  }
}
