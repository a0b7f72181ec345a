import { isDinghyError } from '../errors';
import type { Descriptor } from '../oci/descriptor';
import { parseDigest } from '../oci/digest';
import { isLayerType } from '../oci/media-types';
import type { LayerRecord } from '../store/layers';
import { withLock } from '../store/locks';
import type { Store } from '../store/store';
import { compareTrees } from './compare';
import { unpackLayer } from './unpack';
import type { SettledUnpackLimits } from './unpack-limits';

export interface CheckOptions {
  repair: boolean;
  limits?: SettledUnpackLimits;
  signal?: AbortSignal;
}

/** What is wrong with something of the store, and whether it still is. */
export interface Finding {
  reason: string;
  repaired: boolean;
}

/**
 * The layer is what its blob, which is here and whole, unpacks to: it is unpacked once more and the two are compared, so that no pull
 * pays for what only this asks. With `repair` the fresh one takes its place; a container that runs on the other one keeps it.
 * @returns what was wrong, or undefined
 * @throws ERR_LAYER, ERR_NO_SPACE, ABORT_ERR
 */
export async function checkLayer(
  store: Store,
  diffId: string,
  blob: Descriptor,
  { repair, limits, signal }: CheckOptions,
): Promise<Finding | undefined> {
  const more = signal ? { signal } : {};
  const lock = store.paths.lock(`layer-${parseDigest(diffId).hex}`);
  return withLock(
    lock,
    async () => {
      const temporary = await store.makeTemporary();
      try {
        const blobFile = store.blobs.path(blob.digest);
        const lockFd = temporary.lock.fd;
        const fresh = await unpackLayer({
          blob,
          diffId,
          blobFile,
          folder: temporary.path,
          lockFd,
          ...(limits ? { limits } : {}),
          ...more,
        });
        const reason =
          (await recordFault(store, diffId, fresh)) ??
          (await compareTrees({
            left: store.layers.diffFolder(diffId),
            right: `${temporary.path}/diff`,
            record: fresh,
            lockFd,
            ...more,
          }));
        if (reason === undefined) {
          return undefined;
        }
        if (repair) {
          await store.replaceLayer(temporary.path, fresh);
        }
        return { reason, repaired: repair };
      } finally {
        await temporary.remove();
      }
    },
    more,
  );
}

async function recordFault(store: Store, diffId: string, fresh: LayerRecord): Promise<string | undefined> {
  try {
    const present = await store.layers.get(diffId);
    if (!present) {
      return 'it is missing, or its layer.json is';
    }
    // The same files may have come in another compression, of which the blob may be gone.
    const other = present.blob.digest !== fresh.blob.digest && isLayerType(present.blob.mediaType);
    const expected = other ? { ...fresh, blob: present.blob } : fresh;
    return JSON.stringify(present) === JSON.stringify(expected)
      ? undefined
      : 'its layer.json is not what unpacking tells';
  } catch (error) {
    if (isDinghyError(error)) {
      return 'its layer.json is damaged';
    }
    throw error;
  }
}
