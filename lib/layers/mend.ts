import type { LayerRecord } from '../store/layers';
import { ownerIds } from './owner-ids';
import { pathBytes } from './path-bytes';
import { layerError, runLayerProcess } from './process';

export interface MendOptions {
  record: LayerRecord;
  /** Diff folders: of the layer in question, then of what lies below it, topmost first. */
  layers: readonly string[];
  /** An empty folder on their file system. */
  outDir: string;
  lockFd: number;
  signal?: AbortSignal;
}

/**
 * `outDir` holds what must lie above the layer in this chain so that it looks as if it had been unpacked over the others. Resolves to
 * how much that is; 0 means that the chain needs no fix layer here.
 * @throws ERR_LAYER, ERR_NO_SPACE, ABORT_ERR
 */
export async function mendLayer(options: MendOptions): Promise<number> {
  const { record, layers, outDir, lockFd, signal } = options;
  const reply = await runLayerProcess({
    op: 'mend',
    fields: { layers, outDir, ...ownerIds() },
    input: findings(record),
    lockFd,
    ...(signal ? { signal } : {}),
  });
  if (!reply.ok) {
    throw layerError(reply.error, `fit the layer ${record.diffId} to those below it`, { diffId: record.diffId });
  }
  return Number(reply['made']);
}

/** Exact bytes, ended by NULs: names need not be UTF-8, and there may be more of them than a frame holds. */
export function* findings(
  record: Pick<LayerRecord, 'implicit' | 'whiteouts' | 'lowerLinks'>,
): Generator<Buffer, void, undefined> {
  const nul = Buffer.from([0]);
  for (const path of record.implicit) {
    yield Buffer.concat([Buffer.from('i'), pathBytes(path), nul]);
  }
  for (const path of record.whiteouts) {
    yield Buffer.concat([Buffer.from('w'), pathBytes(path), nul]);
  }
  for (const { path, target } of record.lowerLinks) {
    yield Buffer.concat([Buffer.from('l'), pathBytes(path), nul, pathBytes(target), nul]);
  }
}
