import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';

import { createLog } from '../log';
import { digestOfName } from '../oci/digest';
import { storeError, unlessMissing } from '../util/files';
import { withLock } from './locks';
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
}

/**
 * Mark and sweep: blobs, layers and fix layers that no image, container or lease needs are moved into the graveyard. Nobody can
 * start to need any of it meanwhile: leases grow, and containers are made, under the shared form of the lock that this takes
 * exclusively. Moving is quick whatever the size, and deleting the graveyard is for later, when others may go on.
 * While a manifest or config is damaged nothing is swept, for what it named isn't known.
 * @throws ERR_STORE when index.json is damaged: then nothing is moved; ABORT_ERR
 */
export async function moveGarbage(
  stores: MarkedStores,
  graveyard: TemporaryFolder,
  { only, signal }: CollectOptions = {},
): Promise<void> {
  const work = async (): Promise<void> => {
    const { digests, complete } = await readMarks(stores);
    if (!complete) {
      log('an image is damaged, so nothing is swept: verify first');
      return;
    }
    const all = await listContent(stores);
    const garbage = all.filter(({ digest }) => !digests.has(digest) && (only?.has(digest) ?? true));
    for (const [index, { digest, path }] of garbage.entries()) {
      await unlessMissing(rename(path, join(graveyard.path, `${index}`)));
      log('swept %s', digest);
    }
  };
  try {
    await withLock(stores.paths.lock('content'), work, signal ? { signal } : {});
  } catch (error) {
    throw storeError(error, 'remove what no image needs');
  }
}

async function listContent({ paths, blobs, layers }: MarkedStores): Promise<Candidate[]> {
  const fixes = (await unlessMissing(readdir(paths.fixes))) ?? [];
  return [
    ...fixes.flatMap((name) => digestOfName(name) ?? []).map((digest) => ({ digest, path: paths.fix(digest) })),
    ...(await layers.list()).map((digest) => ({ digest, path: paths.layer(digest) })),
    ...(await blobs.list()).map((digest) => ({ digest, path: paths.blob(digest) })),
  ];
}
