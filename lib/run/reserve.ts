import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readlinkSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';

import { DinghyError } from '../errors';
import { flock } from '../native/binding';
import { isLocked, withLock } from '../store/locks';
import type { RunContext } from './context';
import { randomName } from './names';
import { type ContainerPlaces, containerPlaces } from './places';
import { readRecord } from './record';

/** An id, a name and a folder that are this container's alone. Whoever holds `lockFd` (or inherits it) keeps it alive. */
export interface Reservation {
  id: string;
  name: string;
  /** The link that holds the name. */
  nameLink: string;
  places: ContainerPlaces;
  lockFd: number;
}

/** Removes what a container left whose supervisor died. */
export type SweepContainer = (id: string) => Promise<void>;

/**
 * The calls here are synchronous on purpose: a dozen small ones on local folders take 0.2 ms, and as many round trips through
 * libuv's pool several times that.
 *
 * @throws ERR_NAME_IN_USE
 */
export async function reserve(
  context: RunContext,
  name: string | undefined,
  sweep: SweepContainer,
): Promise<Reservation> {
  const { paths } = context;
  mkdirSync(paths.containers, { recursive: true, mode: 0o700 });
  mkdirSync(paths.names, { recursive: true, mode: 0o700 });
  const folder = reserveFolder(context);
  try {
    const taken = await reserveName(context, folder.places.id, name, sweep);
    return { ...folder, id: folder.places.id, name: taken, nameLink: paths.name(taken) };
  } catch (error) {
    closeSync(folder.lockFd);
    rmSync(folder.places.bundle, { recursive: true, force: true });
    throw error;
  }
}

function reserveFolder(context: RunContext): { places: ContainerPlaces; lockFd: number } {
  for (;;) {
    const id = randomBytes(32).toString('hex');
    const places = containerPlaces(context.paths, context.state, id, context.provider);
    mkdirSync(places.bundle, { mode: 0o700 });
    const lockFd = openSync(places.lock, 'wx', 0o600);
    if (flock(lockFd, 'exclusive')) {
      return { places, lockFd };
    }
    // Between open and flock a sweeping process may have looked at it and found nobody: it's theirs to remove.
    closeSync(lockFd);
  }
}

async function reserveName(
  context: RunContext,
  id: string,
  wanted: string | undefined,
  sweep: SweepContainer,
): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const name = wanted ?? randomName(attempt);
    const link = context.paths.name(name);
    try {
      symlinkSync(id, link);
      return name;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw error;
      }
    }
    if (wanted !== undefined && !(await freeStaleName(context, link, sweep))) {
      throw nameInUse(wanted, ownerOf(link));
    }
  }
}

/** True when the name's container is gone, so that the name can be tried again. */
async function freeStaleName(context: RunContext, link: string, sweep: SweepContainer): Promise<boolean> {
  return withLock(context.paths.lock('names'), async () => {
    const owner = ownerOf(link);
    if (owner === undefined) {
      return true;
    }
    const places = containerPlaces(context.paths, context.state, owner, context.provider);
    if (isLocked(places.lock)) {
      return false;
    }
    const record = readRecord(places.record);
    if (record?.detached) {
      return false;
    }
    await sweep(owner);
    if (ownerOf(link) === owner) {
      unlinkSync(link);
    }
    return true;
  });
}

function ownerOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

function nameInUse(name: string, owner: string | undefined): DinghyError {
  const by = owner ? ` by container ${owner.slice(0, 12)}` : '';
  return new DinghyError({
    code: 'ERR_NAME_IN_USE',
    message: `the name ${name} is in use${by}: remove that container, or choose another name`,
    details: { name, ...(owner ? { container: owner } : {}) },
  });
}
