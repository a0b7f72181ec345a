import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { closeFd, exitStatus, socketpair } from '../native/binding';
import { errnoName, systemError } from '../native/errno';
import type { ProtocolError } from '../native/protocol';
import { startTask } from '../native/task';
import type { Descriptor } from '../oci/descriptor';
import type { LayerRecord, LowerLink } from '../store/layers';
import { abortable, abortError, onAbort, sleep } from '../util/abort';

/** What a layer may grow to before it is taken for an attack (CVE-2017-14992). */
export interface UnpackLimits {
  /** Bytes of the uncompressed tar. */
  maxBytes: number;
  maxEntries: number;
}

export const defaultLimits: UnpackLimits = { maxBytes: 256 * 1024 ** 3, maxEntries: 10_000_000 };

export interface UnpackOptions {
  blob: Descriptor;
  diffId: string;
  /** The blob's bytes: from a registry, or undefined when they are to be read from `blobFile`, which is there already. */
  source?: AsyncIterable<Buffer>;
  /** Where the blob is written, or read from without a `source`. */
  blobFile: string;
  /** An empty folder; `diff/` is made in it. */
  folder: string;
  /** Passed on to the process, so that the folder stays locked while it writes there. */
  lockFd: number;
  limits?: UnpackLimits;
  onProgress?: (progress: { read: number; written: number }) => void;
  signal?: AbortSignal;
}

/**
 * `<folder>/diff` holds the layer in overlay form and is on the disk, and with a `source` the blob is at `blobFile`; the bytes
 * had the digest, size and diff id they should have. One process, one pass. After an error what is in the folder is worthless,
 * and nobody writes there any more.
 * @throws ERR_DIGEST_MISMATCH, ERR_LAYER, ERR_NO_SPACE, ABORT_ERR, and what the source throws
 */
export async function unpackLayer(options: UnpackOptions): Promise<LayerRecord> {
  const { blob, diffId, source, signal } = options;
  const layerDir = join(options.folder, 'diff');
  await mkdir(layerDir, { mode: 0o755 });
  const [ours, theirs] = socketpair();
  const input = new Socket({ fd: ours, readable: false, writable: true });
  input.on('error', () => undefined); // the process tells by its reply why it stopped reading
  let task: ReturnType<typeof startTask>;
  try {
    task = startTask('unpack', {
      stdio: [theirs, null, null],
      extraFds: [options.lockFd],
      onEvent: (event) => {
        if (event.event === 'progress') {
          options.onProgress?.({ read: Number(event['read']), written: Number(event['written']) });
        }
      },
    });
  } catch (error) {
    input.destroy();
    throw error;
  } finally {
    closeFd(theirs);
  }
  const { control, pid } = task;
  // The end of its control connection is the end of the process.
  const release = onAbort(signal, () => control.close());
  try {
    const reply = control.request('unpack', {
      ...(source ? { blobFile: options.blobFile } : {}),
      layerDir,
      mediaType: blob.mediaType,
      limits: options.limits ?? defaultLimits,
      expected: { digest: blob.digest, size: blob.size, diffId },
    });
    const answered = reply.then(
      () => undefined,
      () => undefined,
    );
    const bytes = source ?? createReadStream(options.blobFile, { highWaterMark: 256 * 1024 });
    // A failing source ends the process by closing the connection; a process that failed says why in its reply.
    await pump(bytes as AsyncIterable<Buffer>, input, answered, signal);
    const result = await reply;
    if (!result.ok) {
      throw unpackError(result.error, options);
    }
    return readResult(result, options);
  } catch (error) {
    throw signal?.aborted ? abortError(signal) : error;
  } finally {
    release();
    input.destroy();
    control.close();
    await processEnd(pid);
  }
}

/** Until it's gone it may still write into the folder that the caller is about to rename or remove. */
async function processEnd(pid: number): Promise<void> {
  for (let pauseMs = 1; exitStatus(pid) === undefined; pauseMs = Math.min(20, pauseMs * 2)) {
    await sleep(pauseMs);
  }
}

/** Writes all bytes, at the reader's pace; ends early, without an error, when `stopped` settles. */
async function pump(
  source: AsyncIterable<Buffer>,
  input: Socket,
  stopped: Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  let ended = false;
  void stopped.then(() => (ended = true));
  for await (const chunk of source) {
    if (ended || input.destroyed) {
      return;
    }
    if (!input.write(chunk)) {
      await abortable(Promise.race([drained(input), stopped]), signal);
    }
  }
  input.end();
}

function drained(input: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      input.off('drain', done);
      input.off('close', done);
      resolve();
    };
    input.on('drain', done);
    input.on('close', done);
  });
}

function readResult(reply: Record<string, unknown>, { blob, diffId }: UnpackOptions): LayerRecord {
  // The binary compares as well; what is stored under a digest is decided here.
  if (reply['digest'] !== blob.digest || reply['size'] !== blob.size || reply['diffId'] !== diffId) {
    throw new DinghyError({
      code: 'ERR_DIGEST_MISMATCH',
      message: `the layer ${blob.digest} is not what it should be: it unpacks to ${String(reply['diffId'])}, not ${diffId}`,
      details: { digest: blob.digest, diffId },
    });
  }
  return {
    version: 1,
    diffId,
    blob: { digest: blob.digest, mediaType: blob.mediaType, size: blob.size },
    diffSize: Number(reply['diffSize']),
    entries: Number(reply['entries']),
    implicit: (reply['implicit'] as string[] | undefined) ?? [],
    idle: (reply['idle'] as string[] | undefined) ?? [],
    lowerLinks: (reply['lowerLinks'] as LowerLink[] | undefined) ?? [],
  };
}

function unpackError(error: ProtocolError, { blob }: UnpackOptions): DinghyError {
  const { step, errno, message, path } = error;
  const name = errno > 0 ? errnoName(errno) : undefined;
  const cause = errno > 0 ? systemError(errno, step, path) : undefined;
  const full = name === 'ENOSPC' || name === 'EDQUOT';
  const code = full
    ? 'ERR_NO_SPACE'
    : /^(?:digest|size|diffId|diff id)$/.test(step)
      ? 'ERR_DIGEST_MISMATCH'
      : 'ERR_LAYER';
  return new DinghyError({
    code,
    message: `cannot unpack the layer ${blob.digest}: ${message}${path ? ` (${path})` : ''}${full ? ': free some space' : ''}`,
    step,
    details: { digest: blob.digest, ...(path ? { path } : {}) },
    ...(cause ? { cause } : {}),
  });
}
