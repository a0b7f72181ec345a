import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';

import { isDinghyError } from '../errors';
import { type PackOptions, packTree } from '../layers/pack';
import { sleep, throwIfAborted } from '../util/abort';
import type { ContainerControl } from './container-control';
import type { ExportOptions } from './handle';
import { stillThere } from './still-there';

const attempts = 5;

/** What is read of a container's files: a request of the binary's pack mode, and what it is called in errors. */
export interface ContainerReading extends Pick<PackOptions, 'op' | 'signal'> {
  /** `cannot export container web` */
  doing: string;
  fields?: Record<string, unknown>;
}

/**
 * The container's file system as a tar archive, as `docker export` gives it: the merged tree without what is mounted in it, so that
 * volumes, /proc, /sys and /dev are empty folders. It may run, or not yet, or not any more.
 *
 * Others may change files, start it or stop it meanwhile; each file is then told as it was found. The stream fails when the container
 * is removed before its end.
 * @throws ERR_CONTAINER_NOT_FOUND, ERR_ARCHIVE, ERR_SUPERVISOR, ABORT_ERR
 */
export async function exportContainer(control: ContainerControl, { signal }: ExportOptions): Promise<Readable> {
  return readContainer(control, { doing: `cannot export container ${control.record.name}`, signal });
}

/**
 * What one request of pack mode tells of a container's files, running or not.
 * @throws ERR_CONTAINER_NOT_FOUND, ERR_ARCHIVE, ERR_SUPERVISOR, ABORT_ERR
 */
export async function readContainer(control: ContainerControl, reading: ContainerReading): Promise<Readable> {
  const { signal } = reading;
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(signal);
    if (!existsSync(control.places.record)) {
      throw control.notFound();
    }
    try {
      return await tryToRead(control, reading);
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

async function tryToRead(control: ContainerControl, reading: ContainerReading): Promise<Readable> {
  const { places } = control;
  const { op, doing, fields, signal } = reading;
  // It lends its lock: what reads the upper folder counts as its own doing, also when the container doesn't run.
  const link = await control.connectOrLaunch();
  try {
    await control.opened(); // a new one listens only then
    const stream = await packTree({
      ...(op ? { op } : {}),
      fields: { bundle: places.bundle, socket: places.socket, ...fields },
      doing,
      confirm: () => stillThere(control, link, doing),
      ...(signal ? { signal } : {}),
    });
    stream.once('close', () => link.close());
    return stream;
  } catch (error) {
    // What it stumbled over may be that its files went away under it.
    await stillThere(control, link, doing).finally(() => link.close());
    throw error;
  }
}
