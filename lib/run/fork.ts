import { isDinghyError } from '../errors';
import type { ContainerControl } from './container-control';
import { CopiedLayers } from './copied-layers';
import type { ForkBase } from './fork-base';
import { freezeContainer } from './freeze';
import { isActive, observe } from './state';

const attempts = 5;

/**
 * `make` has made something that stands on what the base wrote: of a running one on copies of one moment, of any other on its own
 * folders, which become layers. `pinned` runs what it is given while no layers are collected.
 * @throws ERR_CONTAINER_RUNNING, ERR_CONTAINER_NOT_FOUND, ERR_VOLUME_IN_USE, ERR_NO_SPACE, ERR_SUPERVISOR, ABORT_ERR, and what `pinned`
 *   and `make` throw: then the base is as it was, or frozen
 */
export async function withForkBase<Pinned, Result>(
  base: ContainerControl,
  pinned: (work: (pinned: Pinned) => Promise<Result>) => Promise<Result>,
  make: (base: ForkBase, pinned: Pinned) => Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    const { state } = observe(base.places);
    const copied = state && isActive(state) ? await CopiedLayers.make(base, signal) : undefined;
    try {
      return await pinned(async (given) => make(copied ? copied.adopt() : await freezeContainer(base), given));
    } catch (error) {
      await copied?.forget();
      // It was started this very moment.
      const wasStarted = !copied && isDinghyError(error) && error.code === 'ERR_CONTAINER_RUNNING';
      if (!wasStarted || attempt === attempts) {
        throw error;
      }
    } finally {
      await copied?.remove();
    }
  }
}
