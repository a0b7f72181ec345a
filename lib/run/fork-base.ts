import { DinghyError } from '../errors';
import type { OverlayRoot, RuntimeSpec } from '../oci/spec-types';
import type { ResolvedMount } from '../oci/spec-mounts';
import { notImplemented } from '../util/not-implemented';
import { listIds, placesOnDisk } from './clean';
import { readSpec } from './config-file';
import type { ContainerControl } from './container-control';
import type { BaseLayers } from './create';
import { readRecord } from './record';
import { usersByVolume, volumeInUse } from './volume-users';

/** What a fork stands on: the layers of its base's root, topmost first, and of its volumes. */
export interface ForkBase extends BaseLayers {
  lower: string[];
}

/** As many layers as what containers wrote may be. */
const maxFrozenLayers = 100;

/** One of the folders that a container writes to and that its forks have for themselves. */
export interface WritableFolder {
  path: string;
  /** The layers below, topmost first. */
  lower: readonly string[];
  /** The anonymous volume that it is; absent for the upper folder of the root. */
  volume?: ResolvedMount;
}

/** The upper folder, and the container's anonymous volumes. @throws ERR_CONTAINER_NOT_FOUND, ERR_VOLUME_IN_USE, ERR_NOT_IMPLEMENTED */
export function foldersOfFork(control: ContainerControl, spec: RuntimeSpec): WritableFolder[] {
  const { record } = control;
  const volumes = record.mounts.filter(({ anonymous, subpath }) => anonymous && subpath === undefined);
  const { rootfs, stacks = {} } = spec.dinghy;
  assertShort(record.name, rootfs.frozen ?? 0);
  if (record.rootfsProvider !== 'overlay' && volumes.length > 0) {
    // They lie in the data folder, where this kernel makes no upper folders.
    throw notImplemented(
      'forking a container with anonymous volumes where the data folder is on overlayfs itself',
      'put the data folder on another file system',
    );
  }
  volumes.forEach(({ target }) => assertShort(record.name, stacks[target]?.lower.length ?? 0));
  return [
    { path: rootfs.upper, lower: rootfs.lower },
    ...volumes.map((volume) => ({ path: volume.source, lower: stacks[volume.target]?.lower ?? [], volume })),
  ];
}

/** @throws ERR_CONTAINER_NOT_FOUND */
export function specOf(control: ContainerControl): RuntimeSpec {
  const spec = readSpec(control.places.config);
  if (!spec) {
    throw control.notFound();
  }
  return spec;
}

/** All that the container stands on itself. */
export function standOn({ dinghy: { rootfs, stacks = {} } }: RuntimeSpec): ForkBase {
  const { lower, frozen = 0 }: OverlayRoot = rootfs;
  const layers = Object.entries(stacks).map(([target, stack]) => [target, stack.lower] as const);
  return { lower, frozen, stacks: Object.fromEntries(layers) };
}

function assertShort(name: string, layers: number): void {
  if (layers >= maxFrozenLayers) {
    throw new DinghyError({
      code: 'ERR_NOT_IMPLEMENTED',
      message: `cannot fork container ${name}: it was forked and went on ${maxFrozenLayers} times: fork one of its forks' bases, or run its image again`,
      details: { container: name, layers },
    });
  }
}

/** A volume that becomes a layer would be another one to whoever else has it. @throws ERR_VOLUME_IN_USE */
export function assertVolumesAreOwn({ context, record }: ContainerControl, doing: string): void {
  const own = record.mounts.flatMap(({ anonymous, name }) => (anonymous && name !== undefined ? [name] : []));
  if (own.length === 0) {
    return;
  }
  const others = listIds(context).filter((id) => id !== record.id);
  const users = usersByVolume(others.flatMap((id) => readRecord(placesOnDisk(context, id).record) ?? []));
  for (const volume of own) {
    const containers = users.get(volume);
    if (containers) {
      throw volumeInUse(`${doing} with its volume ${volume}`, volume, containers);
    }
  }
}
