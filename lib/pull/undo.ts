import { createLog } from '../log';
import type { Store } from '../store/store';

const log = createLog('pull');

/**
 * Of the content that a failed pull brought, what no image uses is gone again. Another pull may be about to use it and hold it
 * only by its pin: then it stays for the next prune.
 */
export async function undoPull(store: Store, added: { layers: Set<string>; blobs: Set<string> }): Promise<void> {
  if (added.layers.size === 0 && added.blobs.size === 0) {
    return;
  }
  const pin = await store.tryPinAll();
  if (!pin) {
    log('left %d layers for others that are pulling', added.layers.size);
    return;
  }
  try {
    const images = await store.images.list();
    const used = new Set(
      images.flatMap((image) => [image.id, image.digest, ...image.layers, ...image.blobs.map((each) => each.digest)]),
    );
    const temporary = await store.makeTemporary();
    try {
      for (const diffId of added.layers) {
        if (!used.has(diffId)) {
          await store.layers.remove(diffId, temporary.path);
        }
      }
    } finally {
      await temporary.remove();
    }
    for (const digest of added.blobs) {
      if (!used.has(digest)) {
        await store.blobs.remove(digest);
      }
    }
  } finally {
    await pin.release();
  }
}
