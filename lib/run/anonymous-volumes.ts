import type { StorePaths } from '../store/paths';
import { listVolumes } from './volume-store';

/** Anonymous volumes that belong to this container are gone; those of a creation that was cut short are in no config.json. */
export async function removeVolumesOf(
  paths: StorePaths,
  owner: string,
  removeTrees: (trees: string[]) => Promise<unknown>,
): Promise<void> {
  const folders = listVolumes(paths)
    .filter((volume) => volume.anonymous && volume.owner === owner)
    .map(({ name }) => paths.volume(name));
  if (folders.length > 0) {
    await removeTrees(folders);
  }
}
