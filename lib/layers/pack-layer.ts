import { join } from 'node:path';

import { createLog } from '../log';
import type { Reply } from '../native/protocol';
import { pipeEnds } from '../native/pipe-ends';
import { startTask } from '../native/task';
import type { Adding } from '../store/add-content';
import type { LayerRecord } from '../store/layers';
import type { Store } from '../store/store';
import { abortError, onAbort, throwIfAborted } from '../util/abort';
import { fileError } from './file-error';
import { keepLayer } from './keep';
import { processEnd } from './process';
import { unpackLayer } from './unpack';
import type { SettledUnpackLimits } from './unpack-limits';

const log = createLog('layers');

export interface PackLayerOptions {
  store: Store;
  /** Whose layer, in the words of the binary's request `layer`. */
  fields: Record<string, unknown>;
  /** What errors say: `commit container web`. */
  doing: string;
  /**
   * The layer is of one moment, for which a running container stands still: `briefly`, for it is copied first, or for as long as it is
   * `read`, where there is no room on its file system for a copy. Absent: as it changes meanwhile.
   */
  pause?: 'briefly' | 'read';
  limits?: SettledUnpackLimits;
  /** Asked once all is read: what it throws is thrown, and the layer is not kept. */
  confirm?: () => Promise<void>;
}

export interface PackedLayer {
  /** Absent, and nothing in the store, when there is nothing in it. */
  record?: LayerRecord;
  /** Where the layers lie that were frozen of the container, topmost first, at the moment that this one was read. */
  frozen: string[];
}

/**
 * A folder that a container wrote is a layer of the store, and its blob a plain tar archive. It goes from one process to another, which hashes and unpacks it on the way: not through this one.
 * @throws ERR_HOST_UNSUPPORTED when it can't stand still, ERR_ARCHIVE, ERR_CONTAINER_NOT_RUNNING when it started or ended this very moment, ERR_LAYER, ERR_NO_SPACE, ERR_STORE, ABORT_ERR
 */
export async function packLayer(options: PackLayerOptions, adding: Adding): Promise<PackedLayer> {
  const { store } = options;
  throwIfAborted(adding.signal);
  const temporary = await store.makeTemporary();
  const copy = options.pause === 'briefly' ? await store.makeTemporary() : undefined;
  try {
    const blobFile = join(temporary.path, 'blob');
    const unpack = { blobFile, folder: temporary.path, lockFd: temporary.lock.fd };
    const pause = { pause: options.pause !== undefined, ...(copy ? { copy: copy.path } : {}) };
    const fields = { ...options.fields, ...pause };
    const { report, record } = await readLayer({ ...options, fields }, unpack, adding.signal);
    log('read %d bytes, %d µs of it standing still', report['size'], report['stillUs']);
    await options.confirm?.();
    const frozen = report['frozen'] as string[];
    if (report['entries'] === 1 && report['sameRoot'] === true) {
      return { frozen }; // the root alone, which is as it was
    }
    await keepLayer(store, { folder: temporary.path, blobFile, record }, adding);
    return { record, frozen };
  } finally {
    await Promise.all([temporary.remove(), copy?.remove()]);
  }
}

async function readLayer(
  { fields, doing, limits }: PackLayerOptions,
  unpack: { blobFile: string; folder: string; lockFd: number },
  signal: AbortSignal,
): Promise<{ report: Record<string, unknown>; record: LayerRecord }> {
  const { readEnd, writeEnd } = pipeEnds();
  try {
    const { control, pid } = startTask('pack', { stdio: [null, writeEnd.fd, null] });
    writeEnd.close();
    const release = onAbort(signal, () => control.close());
    try {
      const [packed, unpacked] = await Promise.allSettled([
        control.request('layer', fields),
        // Whose packing would wait for ever for a reader that never came.
        unpackLayer({ ...unpack, source: readEnd, doing, ...(limits ? { limits } : {}), signal }).finally(() => {
          readEnd.close();
        }),
      ]);
      return { report: outcome(packed, unpacked, doing), record: settled(unpacked) };
    } catch (error) {
      throw signal.aborted ? abortError(signal) : error;
    } finally {
      release();
      control.close();
      await processEnd(pid);
    }
  } finally {
    readEnd.close();
    writeEnd.close();
  }
}

/** Of two failures one is the other's: who reads no more makes writing fail, and half an archive is none. */
function outcome(
  packed: PromiseSettledResult<Reply>,
  unpacked: PromiseSettledResult<unknown>,
  doing: string,
): Record<string, unknown> {
  const reply = settled(packed);
  if (reply.ok) {
    return reply;
  }
  if (reply.error.step === 'write') {
    settled(unpacked);
  }
  throw fileError(reply.error, `cannot ${doing}`);
}

function settled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') {
    throw result.reason;
  }
  return result.value;
}
