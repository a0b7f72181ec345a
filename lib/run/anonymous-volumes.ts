import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { StorePaths } from '../store/paths';

/** volume.json: whose volume this is. */
export interface VolumeDocument {
  name: string;
  /** ISO 8601. */
  created: string;
  labels: Record<string, string>;
  anonymous: boolean;
  /** The container that an anonymous one was made for, and that takes it along. */
  owner?: string;
}

/** Anonymous volumes that belong to this container are gone; those of a creation that was cut short are in no config.json. */
export async function removeVolumesOf(
  paths: StorePaths,
  owner: string,
  removeTrees: (trees: string[]) => Promise<unknown>,
): Promise<void> {
  const folders = readdirNames(paths.volumes)
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .map((name) => paths.volume(name))
    .filter((folder) => readVolume(folder)?.owner === owner);
  if (folders.length > 0) {
    await removeTrees(folders);
  }
}

export function readVolume(folder: string): VolumeDocument | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'volume.json'), 'utf8')) as VolumeDocument;
  } catch {
    return undefined;
  }
}

function readdirNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
