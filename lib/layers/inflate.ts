import { Socket } from 'node:net';

import { DinghyError } from '../errors';
import { closeFd, socketpair } from '../native/binding';
import { layerError, runLayerProcess } from './process';

export interface InflateOptions {
  /** An empty folder that the process is shut into, and its lock. */
  folder: string;
  lockFd: number;
  signal?: AbortSignal;
}

/**
 * What a stream holds whose first bytes are `head`: as it is, or freed of gzip or zstd by a process of the binary, within the limits
 * of a layer.
 * @throws ERR_LAYER for what is damaged or a bomb, ERR_UNSUPPORTED_IMAGE for other compressions, ABORT_ERR, and what the source throws
 */
export function withoutCompression(
  head: Buffer,
  source: AsyncIterable<Buffer>,
  options: InflateOptions,
): AsyncIterable<Buffer> {
  const other = /^(?:BZh|\xfd7zXZ\0)/.exec(head.subarray(0, 6).toString('latin1'))?.[0];
  if (other !== undefined) {
    throw new DinghyError({
      code: 'ERR_UNSUPPORTED_IMAGE',
      message: `cannot read an archive compressed with ${other === 'BZh' ? 'bzip2' : 'xz'}: decompress it first`,
    });
  }
  return isCompressed(head) ? inflate(source, options) : source;
}

/** gzip (RFC 1952 §2.3.1) or zstd (RFC 8878 §3.1). */
export function isCompressed(head: Buffer): 'gzip' | 'zstd' | false {
  const start = head.subarray(0, 4).toString('hex');
  return start.startsWith('1f8b') ? 'gzip' : /^(28b52ffd|5.2a4d18)$/.test(start) ? 'zstd' : false;
}

async function* inflate(
  source: AsyncIterable<Buffer>,
  { folder, lockFd, signal }: InflateOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const [ours, theirs] = socketpair();
  const output = new Socket({ fd: ours, readable: true, writable: false });
  let ended: ReturnType<typeof runLayerProcess>;
  try {
    const more = signal ? { signal } : {};
    ended = runLayerProcess({ op: 'inflate', fields: { folder }, input: source, outputFd: theirs, lockFd, ...more });
  } finally {
    closeFd(theirs);
  }
  const settled = ended.catch(() => undefined);
  try {
    yield* output as AsyncIterable<Buffer>;
    const reply = await ended;
    if (!reply.ok) {
      throw layerError(reply.error, 'read the archive', {});
    }
  } finally {
    output.destroy();
    await settled;
  }
}
