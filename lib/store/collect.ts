import { randomBytes } from 'node:crypto';
import { readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { createLog } from '../log';
import { digestOfName } from '../oci/digest';
import { moveFolder, storeError, syncFolder, unlessMissing } from '../util/files';
import { removeLock, withLock } from './locks';
import { type MarkedStores, readMarks } from './marks';
import type { TemporaryFolder } from './temporary';

const log = createLog('collect');

export interface CollectOptions {
  /** Only of these; otherwise of all there is. */
  only?: ReadonlySet<string>;
  signal?: AbortSignal;
}

interface Candidate {
  digest: string;
  path: string;
  kind: 'blob' | 'folder';
  /** Damaged, and another one is in its place: only a container that runs on it needs it. */
  replaced?: boolean;
}

/**
 * Mark and sweep: blobs, layers and fix layers that no image, container or lease needs are moved into the graveyard. Nobody can
 * start to need any of it meanwhile: leases grow, and containers are made, under the shared form of the lock that this takes
 * exclusively. Moving is quick whatever the size, and deleting the graveyard is for later, when others may go on. The lock files of
 * layers that nobody needs go with them.
 * While a manifest or config is damaged nothing is swept, for what it named isn't known.
 * @throws ERR_STORE when index.json is damaged: then nothing is moved; ABORT_ERR
 */
export async function moveGarbage(
  stores: MarkedStores,
  graveyard: TemporaryFolder,
  { only, signal }: CollectOptions = {},
): Promise<void> {
  const work = async (): Promise<void> => {
    const { blobs, folders, mounted, complete } = await readMarks(stores);
    if (!complete) {
      log('an image is damaged, so nothing is swept: verify first');
      return;
    }
    const all = await listContent(stores);
    const garbage = all.filter(({ digest, kind, replaced }) => {
      const needed = kind === 'blob' ? blobs : replaced ? mounted : folders;
      return !needed.has(digest) && (only?.has(digest) ?? true);
    });
    for (const [index, { digest, path }] of garbage.entries()) {
      await unlessMissing(rename(path, join(graveyard.path, `${index}`)));
      log('swept %s', digest);
    }
    for (const { digest, path } of await listLocks(stores.paths.locks)) {
      if (!folders.has(digest) && (only?.has(digest) ?? true)) await removeLock(path);
    }
  };
  try {
    await withLock(stores.paths.lock('content'), work, signal ? { signal } : {});
  } catch (error) {
    throw storeError(error, 'remove what no image needs');
  }
}

async function listContent({ paths, blobs }: MarkedStores): Promise<Candidate[]> {
  return [
    ...(await listFolders(paths.fixes)),
    ...(await listFolders(paths.layers)),
    ...(await blobs.list()).map((digest) => ({ digest, kind: 'blob' as const, path: paths.blob(digest) })),
  ];
}

/** `<hex>`, and `<hex>.<random>` for what was replaced. */
async function listFolders(folder: string): Promise<Candidate[]> {
  const names = (await unlessMissing(readdir(folder))) ?? [];
  return names.flatMap((name) => {
    const [hex = '', ...more] = name.split('.');
    const digest = digestOfName(hex);
    const path = join(folder, name);
    return digest === undefined ? [] : [{ digest, kind: 'folder', path, replaced: more.length > 0 }];
  });
}

/** Those of one layer or one chain each: there are as many as there ever were layers. All others are few. */
async function listLocks(folder: string): Promise<{ digest: string; path: string }[]> {
  const names = (await unlessMissing(readdir(folder))) ?? [];
  return names.flatMap((name) => {
    const digest = digestOfName(/^(?:layer|fix|squash)-([0-9a-f]+)$/.exec(name)?.[1] ?? '');
    return digest === undefined ? [] : [{ digest, path: join(folder, name) }];
  });
}

/**
 * `fresh` is at `target`; what was there, which a running container may have mounted, has another name beside it until it's swept.
 * Between the two renames nothing is there, so nobody may look: the caller holds the lock exclusively.
 */
export async function replaceFolder(fresh: string, target: string): Promise<void> {
  await unlessMissing(rename(target, `${target}.${randomBytes(6).toString('hex')}`));
  await moveFolder(fresh, target);
  await syncFolder(dirname(target));
}
