import { DinghyError, isDinghyError } from '../errors';
import { systemError } from '../native/errno';
import { storeError } from '../util/files';
import { sleep } from '../util/abort';
import type { ContainerControl } from './container-control';
import { assertVolumesAreOwn, foldersOfFork, type ForkBase, specOf, standOn, type WritableFolder } from './fork-base';
import { newFrozenLayer } from './frozen';
import { checkReply } from './start-error';
import { volumeWork } from './volume-store';

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
      const folders = foldersOfFork(control, specOf(control)).map((folder) => toFreeze(control, folder));
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

interface FolderToFreeze {
  from: string;
  to: string;
  /** Of a volume. */
  work?: string;
}

function toFreeze({ context, places }: ContainerControl, { path, volume }: WritableFolder): FolderToFreeze {
  const layer = { from: path, to: newFrozenLayer(places) };
  return volume ? { ...layer, work: volumeWork(context.paths, volume.name!) } : layer;
}

function running({ record }: ContainerControl): DinghyError {
  return new DinghyError({
    code: 'ERR_CONTAINER_RUNNING',
    message: `cannot fork container ${record.name} while it runs: stop it first`,
    details: { container: record.id },
  });
}
