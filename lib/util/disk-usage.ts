import { type BigIntStats, type Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The bytes that a file or a folder, with all in it, takes up on the disk: what its removal would free. Files that have names
 * elsewhere too don't count, nor does what can't be read.
 */
export async function diskUsage(path: string): Promise<number> {
  const stats = await lstat(path, { bigint: true }).catch(() => undefined);
  if (!stats) {
    return 0;
  }
  let bytes = ownBytes(stats);
  if (stats.isDirectory()) {
    const entries: Dirent[] = await readdir(path, { withFileTypes: true }).catch(() => []);
    // One after another: a tree may have a million files, and the threads for files are few.
    for (const entry of entries) {
      bytes += await diskUsage(join(path, entry.name));
    }
  }
  return bytes;
}

function ownBytes(stats: BigIntStats): number {
  return stats.isDirectory() || stats.nlink === 1n ? Number(stats.blocks) * 512 : 0;
}
