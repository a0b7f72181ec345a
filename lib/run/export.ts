import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';

import { DinghyError, isDinghyError } from '../errors';
import { packTree } from '../layers/pack';
import { sleep, throwIfAborted } from '../util/abort';
import type { ContainerControl } from './container-control';
import type { ExportOptions } from './handle';
import type { SupervisorLink } from './supervisor-link';

const attempts = 5;

/**
 * The container's file system as a tar archive, as `docker export` gives it: the merged tree without what is mounted in it, so that
 * volumes, /proc, /sys and /dev are empty folders. It may run, or not yet, or not any more.
 *
 * Others may change files, start it or stop it meanwhile; each file is then told as it was found. The stream fails when the container
 * is removed before its end.
 * @throws ERR_CONTAINER_NOT_FOUND, ERR_ARCHIVE, ERR_SUPERVISOR, ABORT_ERR
 */
export async function exportContainer(control: ContainerControl, { signal }: ExportOptions): Promise<Readable> {
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(signal);
    if (!existsSync(control.places.record)) {
      throw control.notFound();
    }
    try {
      return await tryExport(control, signal);
    } catch (error) {
      // It ended between the question and the way in; the next look finds it stopped.
      const ended = isDinghyError(error) && error.code === 'ERR_CONTAINER_NOT_RUNNING';
      if (!ended || attempt === attempts) {
        throw error;
      }
      await sleep(10, signal);
    }
  }
}

async function tryExport(control: ContainerControl, signal: AbortSignal | undefined): Promise<Readable> {
  const { places, record } = control;
  // It lends its lock: what reads the upper folder counts as its own doing, also when the container doesn't run.
  const link = await control.connectOrLaunch();
  try {
    await control.opened(); // a new one listens only then
    const stream = await packTree({
      fields: { bundle: places.bundle, socket: places.socket },
      doing: `cannot export container ${record.name}`,
      confirm: () => stillThere(control, link),
      ...(signal ? { signal } : {}),
    });
    stream.once('close', () => link.close());
    return stream;
  } catch (error) {
    link.close();
    throw error;
  }
}

/** A supervisor that removes the container deletes files before anybody could have packed them, and answers nothing any more. */
async function stillThere(control: ContainerControl, link: SupervisorLink): Promise<void> {
  try {
    await link.subscribe();
  } catch (error) {
    throw new DinghyError({
      code: 'ERR_CONTAINER_NOT_FOUND',
      message: `cannot export container ${control.record.name}: it was removed meanwhile, so the archive is not whole`,
      details: { container: control.record.id },
      cause: error,
    });
  }
}
