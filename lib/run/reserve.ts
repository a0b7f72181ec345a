import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { basename, join } from 'node:path';

import { DinghyError } from '../errors';
import { flock } from '../native/binding';
import { isLocked, withLock } from '../store/locks';
import { ownerOf } from './claim-links';
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
    if (wanted === undefined) {
      continue;
    }
    const free = await withLock(context.paths.lock('names'), () => freeStaleName(context, link, sweep));
    if (!free) {
      throw nameInUse(wanted, ownerOf(link));
    }
  }
}

/**
 * For whoever holds the lock of names: true when the name's container is gone, or has another name, so that the name can be tried
 * again.
 */
export async function freeStaleName(context: RunContext, link: string, sweep: SweepContainer): Promise<boolean> {
  const owner = ownerOf(link);
  if (owner === undefined) {
    return true;
  }
  const places = containerPlaces(context.paths, context.state, owner, context.provider);
  const record = readRecord(places.record);
  // Left by a process that was killed while it renamed the container: nobody renames now.
  const isForsaken = record !== undefined && record.name !== basename(link);
  if (!isForsaken) {
    if (isLocked(places.lock) || record?.detached) {
      return false;
    }
    await sweep(owner);
  }
  if (ownerOf(link) === owner) {
    unlinkSync(link);
  }
  return true;
}

/** Links in names/ that no container confirms are gone: of renames and removals that were cut short. */
export async function sweepNames(context: RunContext): Promise<void> {
  const { paths } = context;
  const forsaken = namesOnDisk(paths.names).filter((name) => isForsaken(context, name));
  if (forsaken.length === 0) {
    return;
  }
  await withLock(paths.lock('names'), async () => {
    // Again: it may have been a rename under way.
    forsaken.filter((name) => isForsaken(context, name)).forEach((name) => unlinkSync(paths.name(name)));
  });
}

function isForsaken({ paths }: RunContext, name: string): boolean {
  const owner = ownerOf(paths.name(name));
  if (owner === undefined) {
    return false;
  }
  // A container has its folder before its name, and its record after it.
  const record = readRecord(join(paths.container(owner), 'container.json'));
  return record ? record.name !== name : !existsSync(paths.container(owner));
}

function namesOnDisk(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

export function nameInUse(name: string, owner: string | undefined): DinghyError {
  const by = owner ? ` by container ${owner.slice(0, 12)}` : '';
  return new DinghyError({
    code: 'ERR_NAME_IN_USE',
    message: `the name ${name} is in use${by}: remove that container, or choose another name`,
    details: { name, ...(owner ? { container: owner } : {}) },
  });
}
