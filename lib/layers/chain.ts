import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { chainIds } from '../oci/chain-id';
import { parseDigest } from '../oci/digest';
import { isThere, storeError, syncFolder } from '../util/files';
import type { LayerRecord } from '../store/layers';
import { withLock } from '../store/locks';
import type { Store } from '../store/store';
import type { CheckOptions, Finding } from './check';
import { compareTrees } from './compare';
import { mendLayer } from './mend';
import { checkSquash, maxLowerFolders, squashedFolder } from './squash';

/** A layer in its place. */
interface Link {
  record: LayerRecord;
  /** Of the chain that ends with it. */
  chainId: string;
  /** What lies below it, topmost first. */
  below: string[];
}

/** What to do on the way up a chain. */
interface Steps {
  /** The folder that goes directly above this layer, or undefined when it needs none. */
  fix(link: Link): Promise<string | undefined>;
  /** One folder in place of all these, topmost first, which are what `chainId` shows. */
  squash(chainId: string, folders: string[]): Promise<string>;
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
  return climb(store, diffIds, {
    fix: (link) => fixFolder(store, link, signal),
    squash: (chainId, folders) => squashedFolder(store, chainId, folders, signal),
  });
}

/**
 * The fix layers that this chain has, and its squashed ones, are what they should be, above layers that were checked before: each is
 * made once more and the two are compared. With `repair` the fresh one takes the other's place.
 * @returns what was wrong, by chain id
 * @throws ERR_STORE, ERR_LAYER, ERR_NO_SPACE, ABORT_ERR
 */
export async function checkFixes(
  store: Store,
  diffIds: readonly string[],
  options: CheckOptions,
): Promise<Map<string, Finding>> {
  const found = new Map<string, Finding>();
  const records = await Promise.all(diffIds.map((diffId) => store.layers.get(diffId)));
  if (records.includes(undefined)) {
    return found; // without the layer there is nothing to compare with
  }
  const note = (chainId: string, finding: Finding | undefined): void => {
    if (finding) {
      found.set(chainId, finding);
    }
  };
  await climb(store, diffIds, {
    async fix(link) {
      const target = store.paths.fix(link.chainId);
      if (mayNeedFix(link) && (await isThere(target))) {
        note(link.chainId, await checkFix(store, link, options));
      }
      return presentFix(store, link.chainId);
    },
    async squash(chainId, folders) {
      if (await isThere(store.paths.squash(chainId))) {
        note(chainId, await checkSquash(store, chainId, folders, options));
      }
      return squashedFolder(store, chainId, folders, options.signal);
    },
  });
  return found;
}

/** Bottom up: what a layer's folders take over is what the mended layers below show. */
async function climb(store: Store, diffIds: readonly string[], steps: Steps): Promise<string[]> {
  const chain = chainIds(diffIds);
  const fixes = new Map<number, string | undefined>();
  let bottom: { index: number; folder: string } | undefined;
  const stacked = (end: number): string[] => {
    const folders: string[] = [];
    const seen = new Set<string>();
    for (let index = end - 1; index >= (bottom?.index ?? 0); index--) {
      const diffId = diffIds[index]!;
      if (!seen.has(diffId)) {
        seen.add(diffId);
        const fix = fixes.get(index);
        folders.push(...(fix === undefined ? [] : [fix]), store.layers.diffFolder(diffId));
      }
    }
    return bottom ? [...folders, bottom.folder] : folders;
  };
  for (const [index, diffId] of diffIds.entries()) {
    const record = await store.layers.get(diffId);
    if (!record) {
      throw new DinghyError({
        code: 'ERR_STORE',
        message: `the layer ${diffId} is not here: pull its image again with force`,
        details: { diffId },
      });
    }
    const all = stacked(index);
    const below = all.filter((folder) => folder !== store.layers.diffFolder(diffId));
    const fix = await steps.fix({ record, chainId: chain[index]!, below });
    fixes.set(index, fix);
    // As many as fit become one, and not as many as must: images that grew from each other share it.
    if (all.length + (fix === undefined ? 1 : 2) > maxLowerFolders) {
      bottom = { index, folder: await steps.squash(chain[index - 1]!, all) };
    }
  }
  return stacked(diffIds.length);
}

/** Decided once for each chain id: `fixes/<hex>` is there when it has been, with `diff/` in it when there is something to mend. */
async function fixFolder(store: Store, link: Link, signal: AbortSignal | undefined): Promise<string | undefined> {
  if (!mayNeedFix(link)) {
    return undefined;
  }
  if (!(await isThere(store.paths.fix(link.chainId)))) {
    const lock = store.paths.lock(`fix-${parseDigest(link.chainId).hex}`);
    await withLock(lock, () => makeFix(store, link, signal), signal ? { signal } : {});
  }
  return presentFix(store, link.chainId);
}

async function presentFix(store: Store, chainId: string): Promise<string | undefined> {
  const diff = join(store.paths.fix(chainId), 'diff');
  return (await isThere(diff)) ? diff : undefined;
}

function mayNeedFix({ record, below }: Link): boolean {
  const folders = below.length > 0 && record.implicit.length > 0;
  return folders || record.whiteouts.length > 0 || record.lowerLinks.length > 0;
}

async function makeFix(store: Store, link: Link, signal: AbortSignal | undefined): Promise<void> {
  const target = store.paths.fix(link.chainId);
  if (await isThere(target)) {
    return; // another process was faster
  }
  await withDraft(store, link, signal, async ({ draft }) => {
    await rename(draft, target);
    await syncFolder(store.paths.fixes);
  });
}

async function checkFix(store: Store, link: Link, { repair, signal }: CheckOptions): Promise<Finding | undefined> {
  return withDraft(store, link, signal, async ({ draft, lockFd }) => {
    const [left, right] = [join(store.paths.fix(link.chainId), 'diff'), join(draft, 'diff')];
    const [present, wanted] = [await isThere(left), await isThere(right)];
    const reason =
      wanted !== present
        ? `its diff folder ${wanted ? 'is missing' : 'has no place there'}`
        : wanted
          ? await compareTrees({ left, right, lockFd, ...(signal ? { signal } : {}) })
          : undefined;
    if (reason !== undefined && repair) {
      await store.replaceFix(draft, link.chainId);
    }
    return reason === undefined ? undefined : { reason, repaired: repair };
  });
}

/** Runs `use` with a folder that is what the fix layer should be; what is left of it goes. */
async function withDraft<T>(
  store: Store,
  { record, below }: Link,
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
