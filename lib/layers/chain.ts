import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { chainIds } from '../oci/chain-id';
import { parseDigest } from '../oci/digest';
import { isThere, storeError, syncFolder } from '../util/files';
import type { LayerRecord } from '../store/layers';
import { withLock } from '../store/locks';
import type { Store } from '../store/store';
import { mendLayer } from './mend';
import { maxLowerFolders, squashedFolder } from './squash';

/** What was found out of a chain so far, from the bottom. */
interface Found {
  diffIds: readonly string[];
  /** By index; undefined where there's nothing to mend. */
  fixes: Map<number, string | undefined>;
  /** One folder in place of all layers below `index`. */
  squash?: { index: number; folder: string };
}

/**
 * The folders that overlay mounts for these layers (diff ids, bottom first): topmost first, as `lowerdir` has them. What is
 * missing of the chain's fix layers is made, and where they would be more than overlay takes, the oldest are made one.
 *
 * A layer that occurs several times is named once, at its topmost place: overlay refuses one folder twice (ELOOP), and the
 * topmost covers all that a lower copy could show.
 * @throws ERR_STORE when a layer is not here; ERR_LAYER when a hardlink's target is in no layer; ABORT_ERR
 */
export async function lowerFolders(store: Store, diffIds: readonly string[], signal?: AbortSignal): Promise<string[]> {
  const chain = chainIds(diffIds);
  const found: Found = { diffIds, fixes: new Map() };
  // Bottom up: what a layer's folders take over is what the mended layers below show.
  for (const [index, diffId] of diffIds.entries()) {
    const record = await store.layers.get(diffId);
    if (!record) {
      throw new DinghyError({
        code: 'ERR_STORE',
        message: `the layer ${diffId} is not here: pull its image again with force`,
        details: { diffId },
      });
    }
    const all = stacked(store, found, index);
    const below = all.filter((folder) => folder !== store.layers.diffFolder(diffId));
    const fix = await fixFolder(store, chain[index]!, record, below, signal);
    found.fixes.set(index, fix);
    // As many as fit become one, and not as many as must: images that grew from each other share it.
    if (all.length + (fix === undefined ? 1 : 2) > maxLowerFolders) {
      found.squash = { index, folder: await squashedFolder(store, chain[index - 1]!, all, signal) };
    }
  }
  return stacked(store, found, diffIds.length);
}

/** Of the layers below `end`. */
function stacked(store: Store, { diffIds, fixes, squash }: Found, end: number): string[] {
  const folders: string[] = [];
  const seen = new Set<string>();
  for (let index = end - 1; index >= (squash?.index ?? 0); index--) {
    const diffId = diffIds[index]!;
    if (!seen.has(diffId)) {
      seen.add(diffId);
      const fix = fixes.get(index);
      folders.push(...(fix === undefined ? [] : [fix]), store.layers.diffFolder(diffId));
    }
  }
  return squash ? [...folders, squash.folder] : folders;
}

/**
 * The folder of the fix layer that goes directly above this layer in this chain, or undefined when it needs none. Decided once for
 * each chain id: `fixes/<hex>` is there when it has been, with `diff/` in it when there is something to mend.
 */
async function fixFolder(
  store: Store,
  chainId: string,
  record: LayerRecord,
  below: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (!mayNeedFix(record, below)) {
    return undefined;
  }
  const target = store.paths.fix(chainId);
  const diff = join(target, 'diff');
  if (!(await isThere(target))) {
    const lock = store.paths.lock(`fix-${parseDigest(chainId).hex}`);
    await withLock(lock, () => makeFix(store, target, record, below, signal), signal ? { signal } : {});
  }
  return (await isThere(diff)) ? diff : undefined;
}

function mayNeedFix(record: LayerRecord, below: readonly string[]): boolean {
  const folders = below.length > 0 && record.implicit.length > 0;
  return folders || record.whiteouts.length > 0 || record.lowerLinks.length > 0;
}

async function makeFix(
  store: Store,
  target: string,
  record: LayerRecord,
  below: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (await isThere(target)) {
    return; // another process was faster
  }
  const temporary = await store.makeTemporary();
  try {
    const draft = join(temporary.path, 'fix');
    const outDir = join(draft, 'diff');
    await mkdir(outDir, { recursive: true, mode: 0o755 });
    const layers = [store.layers.diffFolder(record.diffId), ...below];
    const made = await mendLayer({ record, layers, outDir, lockFd: temporary.lock.fd, ...(signal ? { signal } : {}) });
    if (made === 0) {
      await rename(outDir, join(temporary.path, 'unused'));
    }
    await rename(draft, target);
    await syncFolder(store.paths.fixes);
  } catch (error) {
    throw storeError(error, `make the fix layer ${target}`);
  } finally {
    await temporary.remove();
  }
}
