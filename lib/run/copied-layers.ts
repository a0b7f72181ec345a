import { mkdtempSync, renameSync } from 'node:fs';
import { join } from 'node:path';

import { DinghyError, isDinghyError } from '../errors';
import { fileError } from '../layers/file-error';
import { processEnd } from '../layers/process';
import { startTask } from '../native/task';
import { makeTemporary, type TemporaryFolder } from '../store/temporary';
import { abortError, onAbort } from '../util/abort';
import type { ContainerControl } from './container-control';
import { assertVolumesAreOwn, foldersOfFork, type ForkBase, specOf, standOn, type WritableFolder } from './fork-base';
import { newFrozenLayer, sweepFrozen } from './frozen';
import { stillThere } from './still-there';
import { whileServed } from './while-served';

interface CopiedFolder extends WritableFolder {
  copy: string;
  /** Where it adds nothing there is no need of a layer. */
  saysSomething: boolean;
}

/**
 * What a running container wrote, in its root and its anonymous volumes, as all of it was at one moment, for which it stood still: copies,
 * which are nobody's until they are adopted.
 */
export class CopiedLayers {
  readonly #adopted: string[] = [];

  private constructor(
    private readonly control: ContainerControl,
    private readonly temporary: TemporaryFolder,
    private readonly base: ForkBase,
    private readonly folders: readonly CopiedFolder[],
  ) {}

  /**
   * @throws ERR_CONTAINER_NOT_FOUND, ERR_VOLUME_IN_USE, ERR_NO_SPACE, ABORT_ERR; ERR_CONTAINER_RUNNING where it can't be made to stand
   *   still
   */
  static async make(control: ContainerControl, signal: AbortSignal | undefined): Promise<CopiedLayers> {
    const doing = `cannot fork container ${control.record.name}`;
    assertVolumesAreOwn(control, doing);
    if (control.record.rootfsProvider !== 'overlay') {
      // There the upper folders lie in the run-time folder, with no room for copies beside them.
      throw cannotStandStill(control);
    }
    const temporary = await makeTemporary(control.context.paths);
    try {
      return await whileServed(control, signal, async (place, link) => {
        const spec = specOf(control);
        // New ones at each try, which may have left something in the last.
        const folders = foldersOfFork(control, spec).map((folder) => ({
          ...folder,
          copy: mkdtempSync(join(temporary.path, 'copy-')),
        }));
        const says = await copyAll({ ...place, folders }, doing, signal);
        await stillThere(control, link, doing);
        const copied = folders.map((folder, index) => ({ ...folder, saysSomething: says[index] ?? true }));
        return new CopiedLayers(control, temporary, standOn(spec), copied);
      });
    } catch (error) {
      await temporary.remove();
      throw isDinghyError(error) && error.code === 'ERR_HOST_UNSUPPORTED' ? cannotStandStill(control, error) : error;
    }
  }

  /** The copies are layers, below which the base's own go on. For whoever keeps layers from being collected. @throws ERR_CONTAINER_NOT_FOUND */
  adopt(): ForkBase {
    specOf(this.control); // else those below are gone with it, maybe
    const base = { ...this.base, stacks: { ...this.base.stacks } };
    for (const { copy, volume, lower } of this.folders.filter(({ saysSomething }) => saysSomething)) {
      const layer = newFrozenLayer(this.control.places);
      renameSync(copy, layer);
      this.#adopted.push(layer);
      if (volume) {
        base.stacks[volume.target] = [layer, ...lower];
      } else {
        base.lower = [layer, ...lower];
        base.frozen++;
      }
    }
    return base;
  }

  /** What was adopted for something that could not be made is gone. */
  async forget(): Promise<void> {
    if (this.#adopted.length > 0) {
      await sweepFrozen(this.control.context, this.#adopted);
    }
  }

  /** What was not adopted is gone. */
  async remove(): Promise<void> {
    await this.temporary.remove();
  }
}

/** Whether each says something over what lies below it. */
async function copyAll(
  {
    bundle,
    socket,
    folders,
  }: { bundle: string; socket: string; folders: readonly (WritableFolder & { copy: string })[] },
  doing: string,
  signal: AbortSignal | undefined,
): Promise<boolean[]> {
  const { control, pid } = startTask('pack');
  // The end of its control connection is the end of the process, and of the standing still.
  const release = onAbort(signal, () => control.close());
  try {
    const reply = await control.request('copy', {
      bundle,
      socket,
      folders: folders.map(({ path, copy, lower }) => ({ from: path, to: copy, below: lower[0] ?? '' })),
    });
    if (!reply.ok) {
      throw fileError(reply.error, doing);
    }
    return reply['says'] as boolean[];
  } catch (error) {
    throw signal?.aborted ? abortError(signal) : error;
  } finally {
    release();
    control.close();
    await processEnd(pid);
  }
}

function cannotStandStill({ record }: ContainerControl, cause?: unknown): DinghyError {
  return new DinghyError({
    code: 'ERR_CONTAINER_RUNNING',
    message: `cannot fork container ${record.name} while it runs: this host cannot let it stand still for a copy: stop it first`,
    details: { container: record.id },
    ...(cause === undefined ? {} : { cause }),
  });
}
