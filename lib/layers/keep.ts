import type { Adding } from '../store/add-content';
import type { LayerRecord } from '../store/layers';
import type { Store } from '../store/store';
import { chainIds } from '../oci/chain-id';

/**
 * What was unpacked into a temporary folder, whose blob lies at `blobFile` on the store's file system, is a layer of the store, and its
 * blob too.
 * @throws ERR_STORE, ERR_NO_SPACE, ABORT_ERR
 */
export async function keepLayer(
  store: Store,
  { folder, blobFile, record }: { folder: string; blobFile: string; record: LayerRecord },
  { added, lease, signal }: Adding,
): Promise<void> {
  await lease.hold([record.blob.digest, record.diffId, ...chainIds([record.diffId])], signal);
  added.add(record.blob.digest);
  await store.blobs.adopt(blobFile, record.blob.digest);
  added.add(record.diffId);
  await store.layers.commit(folder, record);
}
