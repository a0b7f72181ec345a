import { DinghyError } from '../errors';
import { withLock } from '../store/locks';
import { removeTrees } from './clean';
import type { RunContext } from './context';
import { listContainers } from './find';
import { noteEvent } from './journal';
import { anonymousName, buryVolume, listVolumes, readVolume, volumeData, type VolumeDocument } from './volume-store';
import { usersByVolume, volumeInUse } from './volume-users';
import { makeVolume } from './volumes';

/** A volume as it stands. */
export interface VolumeState {
  name: string;
  /** Of its files on this host. */
  path: string;
  created: Date;
  labels: Record<string, string>;
  /** It was given no name, and goes with the container it was made for. */
  anonymous: boolean;
  /** The names of the containers that have it, running or not. */
  usedBy: string[];
}

/** The volume is there, with these labels unless it was there before. Without a name it gets one of 64 digits. */
export async function createVolume(
  context: RunContext,
  { name = anonymousName(), labels = {} }: { name?: string; labels?: Record<string, string> },
): Promise<string> {
  // Shared, as for the making of a container: nobody who collects takes it away between its folder and its document.
  await withLock(
    context.paths.lock('content'),
    async () => {
      makeVolume(context, { name, labels, anonymous: false });
    },
    { mode: 'shared' },
  );
  return name;
}

/** @throws ERR_VOLUME_NOT_FOUND */
export async function inspectVolume(context: RunContext, name: string): Promise<VolumeState> {
  const volume = readVolume(context.paths, name);
  if (!volume) {
    throw volumeNotFound(name);
  }
  return stateOf(context, volume, await usersOfVolumes(context));
}

export async function inspectVolumes(context: RunContext): Promise<VolumeState[]> {
  const users = await usersOfVolumes(context);
  return listVolumes(context.paths).map((volume) => stateOf(context, volume, users));
}

/**
 * The volume and its files are gone. With `force` one that is not there is no error; one that is used stays in either case.
 * @throws ERR_VOLUME_NOT_FOUND, ERR_VOLUME_IN_USE
 */
export async function removeVolume(context: RunContext, name: string, { force }: { force: boolean }): Promise<void> {
  const { names } = await dropVolumes(context, (volume, usedBy) => {
    if (volume.name === name && usedBy.length > 0) {
      throw volumeInUse(`cannot remove volume ${name}`, name, usedBy);
    }
    return volume.name === name;
  });
  if (names.length === 0 && !force) {
    throw volumeNotFound(name);
  }
}

/** The volumes that `wanted` names are gone. Nobody makes a container meanwhile, which may be about to take one of them. */
export async function dropVolumes(
  context: RunContext,
  wanted: (volume: VolumeDocument, usedBy: readonly string[]) => boolean,
): Promise<{ names: string[]; freedBytes: number }> {
  const { paths, state } = context;
  const buried = await withLock(paths.lock('content'), async () => {
    const users = await usersOfVolumes(context);
    const names = listVolumes(paths)
      .filter((volume) => wanted(volume, users.get(volume.name) ?? []))
      .map(({ name }) => name);
    return names.map((name) => ({ name, grave: buryVolume(paths, name) }));
  });
  for (const { name } of buried) {
    noteEvent(state, { type: 'volume', action: 'destroy', id: name, attributes: { driver: 'local' } });
  }
  const graves = buried.map(({ grave }) => grave);
  const freedBytes = graves.length === 0 ? 0 : await removeTrees(context, graves);
  return { names: buried.map(({ name }) => name), freedBytes };
}

async function usersOfVolumes(context: RunContext): Promise<Map<string, string[]>> {
  return usersByVolume((await listContainers(context)).map(({ record }) => record));
}

function stateOf(
  { paths }: RunContext,
  { name, created, labels, anonymous }: VolumeDocument,
  users: ReadonlyMap<string, string[]>,
): VolumeState {
  const usedBy = users.get(name) ?? [];
  return { name, path: volumeData(paths, name), created: new Date(created), labels, anonymous, usedBy };
}

function volumeNotFound(name: string): DinghyError {
  return new DinghyError({
    code: 'ERR_VOLUME_NOT_FOUND',
    message: `there is no volume ${name}: make it with createVolume, or name it in the mounts of a container`,
    details: { volume: name },
  });
}
