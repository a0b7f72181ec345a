import { isDinghyError } from '../errors';
import { sleep, throwIfAborted } from '../util/abort';
import type { ContainerControl } from './container-control';
import { stillThere } from './still-there';
import type { SupervisorLink } from './supervisor-link';

/** Where a process of the binary finds a container. */
export interface ServedPlace {
  bundle: string;
  socket: string;
}

const attempts = 20;

/**
 * Runs `work` while the container has a supervisor, running or not: it lends its lock, and starts it not before a writer is done.
 * Again when it started or ended between the question and the way in.
 */
export async function whileServed<T>(
  control: ContainerControl,
  signal: AbortSignal | undefined,
  work: (place: ServedPlace, link: SupervisorLink) => Promise<T>,
): Promise<T> {
  const { bundle, socket } = control.places;
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(signal);
    const link = await control.connectOrLaunch();
    try {
      await control.opened(); // a new one listens only then
      return await work({ bundle, socket }, link);
    } catch (error) {
      const changing = isDinghyError(error) && error.code === 'ERR_CONTAINER_NOT_RUNNING';
      if (!changing || attempt === attempts) {
        // What it stumbled over may be that the files went away under it.
        await stillThere(control, link, `cannot work on the files of container ${control.record.name}`);
        throw error;
      }
      await sleep(10, signal);
    } finally {
      link.close();
    }
  }
}
