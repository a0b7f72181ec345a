import type { LayerRecord } from '../store/layers';
import { findings } from './mend';
import { ownerIds } from './owner-ids';
import { layerError, runLayerProcess } from './process';

export interface CompareOptions {
  /** What is to be judged, and what it should be: folders. */
  left: string;
  right: string;
  /** Of the layer: what got its time by being unpacked. Without it no folder's time counts. */
  record?: Pick<LayerRecord, 'implicit' | 'whiteouts'>;
  lockFd: number;
  signal?: AbortSignal;
}

/**
 * How the left differs from the right, in words, with the first paths; undefined when contents, modes, owners, times, links and
 * extended attributes are the same.
 * @throws ERR_LAYER, ABORT_ERR
 */
export async function compareTrees(options: CompareOptions): Promise<string | undefined> {
  const { left, right, record, lockFd, signal } = options;
  const reply = await runLayerProcess({
    op: 'compare',
    fields: { left, right, folderTimes: record !== undefined, ...ownerIds() },
    input: findings({ implicit: record?.implicit ?? [], whiteouts: record?.whiteouts ?? [], lowerLinks: [] }),
    lockFd,
    ...(signal ? { signal } : {}),
  });
  if (!reply.ok) {
    throw layerError(reply.error, `compare ${left}`, { path: left });
  }
  const count = Number(reply['count']);
  const first = (reply['first'] as { path: string; what: string }[]).slice(0, 3);
  const told = first.map(({ path, what }) => `${path}: ${what}`).join(', ');
  return count === 0 ? undefined : `${told}${count > first.length ? `, and ${count - first.length} more` : ''}`;
}
