import { DinghyError } from '../errors';
import type { ContainerControl } from './container-control';
import type { SupervisorLink } from './supervisor-link';

/**
 * The container was not removed while its files were read or written: a supervisor that removes it deletes them meanwhile, and answers
 * nothing any more.
 * @throws ERR_CONTAINER_NOT_FOUND
 */
export async function stillThere(control: ContainerControl, link: SupervisorLink, doing: string): Promise<void> {
  try {
    await link.subscribe();
  } catch (error) {
    throw new DinghyError({
      code: 'ERR_CONTAINER_NOT_FOUND',
      message: `${doing}: it was removed meanwhile, so the files are not whole`,
      details: { container: control.record.id },
      cause: error,
    });
  }
}
