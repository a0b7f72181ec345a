import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { parseDigest } from '../oci/digest';
import { withLock } from '../store/locks';
import type { Store } from '../store/store';
import { isThere, moveFolder, storeError, syncFolder } from '../util/files';
import type { CheckOptions, Finding } from './check';
import { compareTrees } from './compare';
import { ownerIds } from './owner-ids';
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

/**
 * The squashed folder is what these folders show: it is made once more and the two are compared. With `repair` the fresh one takes its
 * place.
 * @returns what was wrong, or undefined
 */
export async function checkSquash(
  store: Store,
  chainId: string,
  folders: readonly string[],
  { repair, signal }: CheckOptions,
): Promise<Finding | undefined> {
  return withDraft(store, chainId, folders, signal, async ({ draft, lockFd }) => {
    const left = store.paths.squash(chainId);
    const reason = await compareTrees({ left, right: draft, lockFd, ...(signal ? { signal } : {}) });
    if (reason !== undefined && repair) {
      await store.replaceSquash(draft, chainId);
    }
    return reason === undefined ? undefined : { reason, repaired: repair };
  });
}

async function makeSquash(
  store: Store,
  { chainId, target, folders }: { chainId: string; target: string; folders: readonly string[] },
  signal: AbortSignal | undefined,
): Promise<void> {
  if (await isThere(target)) {
    return; // another process was faster
  }
  await withDraft(store, chainId, folders, signal, async ({ draft }) => {
    const folder = dirname(target);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await moveFolder(draft, target);
    await syncFolder(folder);
    await syncFolder(store.paths.fixes);
  });
}

/** Runs `use` with a folder that is what the squashed one should be; what is left of it goes. */
async function withDraft<T>(
  store: Store,
  chainId: string,
  folders: readonly string[],
  signal: AbortSignal | undefined,
  use: (made: { draft: string; lockFd: number }) => Promise<T>,
): Promise<T> {
  const temporary = await store.makeTemporary();
  try {
    const draft = join(temporary.path, 'squash');
    await mkdir(draft, { mode: 0o755 });
    const lockFd = temporary.lock.fd;
    const reply = await runLayerProcess({
      op: 'squash',
      fields: { layers: folders, outDir: draft, ...ownerIds() },
      input: [],
      lockFd,
      ...(signal ? { signal } : {}),
    });
    if (!reply.ok) {
      throw layerError(reply.error, `make one of the ${folders.length} oldest layers`, { chainId });
    }
    return await use({ draft, lockFd });
  } catch (error) {
    throw storeError(error, `make one of the ${folders.length} oldest layers`);
  } finally {
    await temporary.remove();
  }
}
