import { mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { chainIds } from '../oci/chain-id';
import { parseDigest } from '../oci/digest';
import { storeError, syncFolder, unlessMissing } from '../util/files';
import type { LayerRecord } from '../store/layers';
import { withLock } from '../store/locks';
import type { Store } from '../store/store';
import type { CheckOptions, Finding } from './check';
import { compareTrees } from './compare';
import { mendLayer } from './mend';

/**
 * The folders that overlay mounts for these layers (diff ids, bottom first): topmost first, as `lowerdir` has them. What is
 * missing of the chain's fix layers is made.
 *
 * A layer that occurs several times is named once, at its topmost place: overlay refuses one folder twice (ELOOP), and the
 * topmost covers all that a lower copy could show.
 * @throws ERR_STORE when a layer is not here; ERR_LAYER when a hardlink's target is in no layer; ABORT_ERR
 */
export async function lowerFolders(store: Store, diffIds: readonly string[], signal?: AbortSignal): Promise<string[]> {
  const chain = chainIds(diffIds);
  const fixes = new Map<number, string | undefined>();
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
    const below = belowOf(store, diffIds, index, fixes);
    fixes.set(index, await fixFolder(store, chain[index]!, record, below, signal));
  }
  return stacked(store, diffIds, fixes);
}

function stacked(store: Store, diffIds: readonly string[], fixes: ReadonlyMap<number, string | undefined>): string[] {
  const folders: string[] = [];
  const seen = new Set<string>();
  for (let index = diffIds.length - 1; index >= 0; index--) {
    const diffId = diffIds[index]!;
    if (!seen.has(diffId)) {
      seen.add(diffId);
      const fix = fixes.get(index);
      folders.push(...(fix === undefined ? [] : [fix]), store.layers.diffFolder(diffId));
    }
  }
  return folders;
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
  if (!(await exists(target))) {
    const lock = store.paths.lock(`fix-${parseDigest(chainId).hex}`);
    await withLock(lock, () => makeFix(store, target, record, below, signal), signal ? { signal } : {});
  }
  return (await exists(diff)) ? diff : undefined;
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
  if (await exists(target)) {
    return; // another process was faster
  }
  await withDraft(store, record, below, signal, async ({ draft }) => {
    await rename(draft, target);
    await syncFolder(store.paths.fixes);
  });
}

/** Runs `use` with a folder that is what the fix layer should be; what is left of it goes. */
async function withDraft<T>(
  store: Store,
  record: LayerRecord,
  below: readonly string[],
  signal: AbortSignal | undefined,
  use: (made: { draft: string; lockFd: number }) => Promise<T>,
): Promise<T> {
  const temporary = await store.makeTemporary();
  try {
    const draft = join(temporary.path, 'fix');
    const outDir = join(draft, 'diff');
    await mkdir(outDir, { recursive: true, mode: 0o755 });
    const layers = [store.layers.diffFolder(record.diffId), ...below];
    const lockFd = temporary.lock.fd;
    const made = await mendLayer({ record, layers, outDir, lockFd, ...(signal ? { signal } : {}) });
    if (made === 0) {
      await rename(outDir, join(temporary.path, 'unused'));
    }
    return await use({ draft, lockFd });
  } catch (error) {
    throw storeError(error, `make the fix layer of ${record.diffId}`);
  } finally {
    await temporary.remove();
  }
}

/**
 * The fix layers that this chain has are what they should be, above layers that were checked before: each is made once more and the two
 * are compared. With `repair` the fresh one takes the other's place.
 * @returns what was wrong, by chain id
 * @throws ERR_STORE, ERR_LAYER, ERR_NO_SPACE, ABORT_ERR
 */
export async function checkFixes(
  store: Store,
  diffIds: readonly string[],
  { repair, signal }: CheckOptions,
): Promise<Map<string, Finding>> {
  const found = new Map<string, Finding>();
  const chain = chainIds(diffIds);
  const fixes = new Map<number, string | undefined>();
  for (const [index, diffId] of diffIds.entries()) {
    const record = await store.layers.get(diffId);
    if (!record) {
      return found; // without the layer there is nothing to compare with
    }
    const below = belowOf(store, diffIds, index, fixes);
    const chainId = chain[index]!;
    const target = store.paths.fix(chainId);
    if (mayNeedFix(record, below) && (await exists(target))) {
      const finding = await withDraft(store, record, below, signal, async ({ draft, lockFd }) => {
        const [left, right] = [join(target, 'diff'), join(draft, 'diff')];
        const wanted = await exists(right);
        const reason =
          wanted && (await exists(left))
            ? await compareTrees({ left, right, lockFd, ...(signal ? { signal } : {}) })
            : wanted !== (await exists(left))
              ? `its diff folder ${wanted ? 'is missing' : 'has no place there'}`
              : undefined;
        if (reason !== undefined && repair) {
          await store.replaceFix(draft, chainId);
        }
        return reason === undefined ? undefined : { reason, repaired: repair };
      });
      if (finding) {
        found.set(chainId, finding);
      }
    }
    fixes.set(index, (await exists(join(target, 'diff'))) ? join(target, 'diff') : undefined);
  }
  return found;
}

/** What lies below the layer at `index`, topmost first. */
function belowOf(
  store: Store,
  diffIds: readonly string[],
  index: number,
  fixes: ReadonlyMap<number, string | undefined>,
): string[] {
  const own = store.layers.diffFolder(diffIds[index]!);
  return stacked(store, diffIds.slice(0, index), fixes).filter((folder) => folder !== own);
}

async function exists(path: string): Promise<boolean> {
  return (await unlessMissing(stat(path))) !== undefined;
}
