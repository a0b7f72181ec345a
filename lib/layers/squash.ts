import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { parseDigest } from '../oci/digest';
import { withLock } from '../store/locks';
import type { Store } from '../store/store';
import { isThere, storeError, syncFolder } from '../util/files';
import { layerError, runLayerProcess } from './process';

/** How many lower folders overlay takes: OVL_MAX_STACK of the kernel. */
export const maxLowerFolders = 500;

/**
 * The folder that shows what the chain does, made of copies of its folders' files, topmost first. Once for each chain id; images
 * that share their first layers share it. Like a fix layer it can be made again, and the layers stay as they are.
 * @throws ERR_LAYER, ERR_NO_SPACE, ERR_STORE, ABORT_ERR
 */
export async function squashedFolder(
  store: Store,
  chainId: string,
  folders: readonly string[],
  signal?: AbortSignal,
): Promise<string> {
  const target = store.paths.squash(chainId);
  if (!(await isThere(target))) {
    const lock = store.paths.lock(`squash-${parseDigest(chainId).hex}`);
    await withLock(lock, () => makeSquash(store, { chainId, target, folders }, signal), signal ? { signal } : {});
  }
  return target;
}

async function makeSquash(
  store: Store,
  { chainId, target, folders }: { chainId: string; target: string; folders: readonly string[] },
  signal: AbortSignal | undefined,
): Promise<void> {
  if (await isThere(target)) {
    return; // another process was faster
  }
  const temporary = await store.makeTemporary();
  try {
    const outDir = join(temporary.path, 'squash');
    await mkdir(outDir, { mode: 0o755 });
    const reply = await runLayerProcess({
      op: 'squash',
      fields: { layers: folders, outDir },
      input: [],
      lockFd: temporary.lock.fd,
      ...(signal ? { signal } : {}),
    });
    if (!reply.ok) {
      throw layerError(reply.error, `make one of the ${folders.length} oldest layers`, { chainId });
    }
    const folder = dirname(target);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rename(outDir, target);
    await syncFolder(folder);
    await syncFolder(store.paths.fixes);
  } catch (error) {
    throw storeError(error, `make the squashed layers ${target}`);
  } finally {
    await temporary.remove();
  }
}
