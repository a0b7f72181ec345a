import { DinghyError, isDinghyError } from '../errors';
import { systemError } from '../native/errno';
import type { OverlayRoot, RuntimeSpec } from '../oci/spec-types';
import { sleep } from '../util/abort';
import { notImplemented } from '../util/not-implemented';
import { storeError } from '../util/files';
import { readSpec } from './config-file';
import type { ContainerControl } from './container-control';
import type { BaseLayers } from './create';
import { listIds, placesOnDisk } from './clean';
import { newFrozenLayer } from './frozen';
import { readRecord } from './record';
import { checkReply } from './start-error';
import { volumeWork } from './volume-store';
import { usersByVolume, volumeInUse } from './volume-users';

/** What a fork stands on: the layers of its base's root, topmost first, and of its volumes. */
export interface ForkBase extends BaseLayers {
  lower: string[];
}

/** As many layers as what containers wrote may be. */
const maxFrozenLayers = 100;

const ebusy = 16;
/** ENOSPC, EDQUOT */
const noSpace = [28, 122];
const attempts = 5;

/**
 * What the container wrote, in its root and its anonymous volumes, is in layers that nobody changes any more; it goes on above them, in
 * new folders. Of one that does not run this takes the same time whatever it wrote. For whoever keeps layers from being collected.
 * @throws ERR_CONTAINER_RUNNING, ERR_CONTAINER_NOT_FOUND, ERR_VOLUME_IN_USE, ERR_NO_SPACE, ERR_SUPERVISOR
 */
export async function freezeContainer(control: ContainerControl): Promise<ForkBase> {
  const doing = `cannot fork container ${control.record.name}`;
  assertVolumesAreOwn(control, doing);
  for (let attempt = 1; ; attempt++) {
    const link = await control.connectOrLaunch();
    try {
      await control.opened();
      const folders = foldersToFreeze(control, specOf(control));
      const reply = await link.control.request('freeze', { folders });
      if (!reply.ok && reply.error.errno === ebusy) {
        throw running(control);
      }
      if (!reply.ok && noSpace.includes(reply.error.errno)) {
        throw storeError(systemError(reply.error.errno, reply.error.step), `fork container ${control.record.name}`);
      }
      checkReply(doing, reply);
      return standOn(specOf(control));
    } catch (error) {
      // A supervisor that has no more to do ends, and another takes over.
      if (!isDinghyError(error) || error.code !== 'ERR_SUPERVISOR' || !link.isClosed || attempt === attempts) {
        throw error;
      }
      await sleep(10);
    } finally {
      link.close();
    }
  }
}

function specOf(control: ContainerControl): RuntimeSpec {
  const spec = readSpec(control.places.config);
  if (!spec) {
    throw control.notFound();
  }
  return spec;
}

interface FolderToFreeze {
  from: string;
  to: string;
  /** Of a volume. */
  work?: string;
}

function foldersToFreeze({ context, places, record }: ContainerControl, spec: RuntimeSpec): FolderToFreeze[] {
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
    { from: rootfs.upper, to: newFrozenLayer(places) },
    ...volumes.map(({ name, source }) => ({
      from: source,
      to: newFrozenLayer(places),
      work: volumeWork(context.paths, name!),
    })),
  ];
}

function standOn({ dinghy: { rootfs, stacks = {} } }: RuntimeSpec): ForkBase {
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
function assertVolumesAreOwn({ context, record }: ContainerControl, doing: string): void {
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

function running({ record }: ContainerControl): DinghyError {
  return new DinghyError({
    code: 'ERR_CONTAINER_RUNNING',
    message: `cannot fork container ${record.name} while it runs: stop it first`,
    details: { container: record.id },
  });
}
