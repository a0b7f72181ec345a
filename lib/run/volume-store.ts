import { randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import type { StorePaths } from '../store/paths';

/** volume.json: whose volume this is. */
export interface VolumeDocument {
  name: string;
  /** ISO 8601. */
  created: string;
  labels: Record<string, string>;
  anonymous: boolean;
}

/** What is said of a volume when it is made. */
export interface NewVolume extends Omit<VolumeDocument, 'created'> {
  /** Of an anonymous one: the id of the container that it is made for. */
  user?: string;
}

/** Where the volume's files lie, which is what containers see. */
export function volumeData(paths: StorePaths, name: string): string {
  return join(paths.volume(name), '_data');
}

/** The work folder of the overlay that a volume is when it stands on frozen layers. */
export function volumeWork(paths: StorePaths, name: string): string {
  return join(paths.volume(name), '_work');
}

/**
 * The volume's files lie in frozen layers too, so that its folder alone is not what its container sees. Such a volume is that one's alone:
 * the kernel takes a folder as the upper one of one overlay.
 * @throws ERR_VOLUME_IN_USE
 */
export function assertShareable(paths: StorePaths, name: string): void {
  if (isAnonymous(name) && existsSync(volumeWork(paths, name))) {
    throw new DinghyError({
      code: 'ERR_VOLUME_IN_USE',
      message: `volume ${name} cannot be shared: its container was forked, or is a fork; give that one a named volume`,
      details: { volume: name },
    });
  }
}

/**
 * The volume is there; one that was there before stays what it was. Its data folder is 0755 as Docker's: what is in the container
 * decides who may enter, and nobody gets past the 0700 of the data root from outside.
 * @returns whether it was made
 */
export function ensureVolume(paths: StorePaths, { name, labels, anonymous, user }: NewVolume): boolean {
  const folder = paths.volume(name);
  if (user !== undefined) {
    // First of all: a volume that a killed creation left is found by its user.
    mkdirSync(usersOf(folder), { recursive: true, mode: 0o700 });
    writeFileSync(join(usersOf(folder), user), '');
  }
  mkdirSync(volumeData(paths, name), { recursive: true, mode: 0o755 });
  const content: VolumeDocument = { name, created: new Date().toISOString(), labels, anonymous };
  // Whole or not at all, and of several who make it at once one only: a link, unlike a rename, replaces nothing.
  const draft = join(folder, `.${randomBytes(6).toString('hex')}`);
  writeFileSync(draft, JSON.stringify(content), { mode: 0o600 });
  try {
    linkSync(draft, documentOf(folder));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw error;
    }
    return false;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Undefined when there is no such volume. One whose maker was killed before it could say anything of it has no labels. */
export function readVolume(paths: StorePaths, name: string): VolumeDocument | undefined {
  try {
    return JSON.parse(readFileSync(documentOf(paths.volume(name)), 'utf8')) as VolumeDocument;
  } catch {
    const data = statSync(volumeData(paths, name), { throwIfNoEntry: false });
    return data && { name, created: data.birthtime.toISOString(), labels: {}, anonymous: isAnonymous(name) };
  }
}

/** All of them, by name. */
export function listVolumes(paths: StorePaths): VolumeDocument[] {
  return volumeNames(paths).flatMap((name) => readVolume(paths, name) ?? []);
}

function volumeNames(paths: StorePaths): string[] {
  try {
    return readdirSync(paths.volumes).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return [];
    }
    throw error;
  }
}

/**
 * One more container has the anonymous volume. Its users are files in a folder, which whoever was the last removes before the
 * volume (the binary does, addon/supervisor/volume_users.h): so the kernel decides whether one that leaves or one that comes was
 * first.
 * @returns false when it goes, or is gone
 */
export function joinVolume(folder: string, user: string): boolean {
  try {
    writeFileSync(join(usersOf(folder), user), '');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return false;
    }
    throw error;
  }
}

/** The folders of those that are anonymous. */
export function anonymousFolders(
  paths: StorePaths,
  mounts: readonly { name?: string; anonymous?: boolean }[],
): string[] {
  return mounts.flatMap(({ name, anonymous }) => (anonymous && name !== undefined ? [paths.volume(name)] : []));
}

/** The folders of the anonymous volumes that the container has, also when its creation was cut short. */
export function volumesOf(paths: StorePaths, user: string): string[] {
  return volumeNames(paths)
    .map((name) => paths.volume(name))
    .filter((folder) => existsSync(join(usersOf(folder), user)));
}

/** For whoever has the content lock: the volume is gone from its place. @returns where it lies now, to be removed */
export function buryVolume(paths: StorePaths, name: string): string {
  const grave = join(paths.temporary, randomBytes(12).toString('hex'));
  renameSync(paths.volume(name), grave);
  return grave;
}

/** The name that a volume gets which is given none. */
export function anonymousName(): string {
  return randomBytes(32).toString('hex');
}

function isAnonymous(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

function usersOf(folder: string): string {
  return join(folder, 'users');
}

function documentOf(folder: string): string {
  return join(folder, 'volume.json');
}
