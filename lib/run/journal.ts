import { closeSync, constants, fstatSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { createLog } from '../log';
import { flock } from '../native/binding';
import type { ContainerRecord } from './record';

const log = createLog('events');

/** Something that happened, as the journal keeps it. */
export interface JournalEvent {
  /** ISO 8601, to the nanosecond. */
  time: string;
  type: 'container' | 'image' | 'network' | 'volume';
  action: string;
  id: string;
  attributes: Record<string, string>;
}

/** As in addon/supervisor/journal.cc. */
const maxJournalSize = 1 << 20;
const maxAttempts = 3;

/** The events of all processes that share a run-time folder: `current`, and what came before it. */
export function journalPlaces(state: string): { folder: string; current: string; older: string } {
  const folder = join(state, 'events');
  return { folder, current: join(folder, 'journal'), older: join(folder, 'journal.1') };
}

/**
 * The event is in the journal. Never throws and never waits: what a full or missing run-time folder costs is the event. Twenty
 * microseconds, synchronous, so that events of one process stand in the order of what it did.
 */
export function noteEvent(state: string, event: Omit<JournalEvent, 'time'>): void {
  const { type, action, id, attributes } = event;
  const line = JSON.stringify({
    time: `${new Date().toISOString().slice(0, -1)}000000Z`,
    type,
    action,
    id,
    attributes,
  });
  try {
    append(state, line);
  } catch (error) {
    log('cannot note %s %s: %s', type, action, error);
  }
}

/** As the supervisor does: with the container's image, name and labels. */
export function noteContainer(
  state: string,
  { id, image, name, labels }: Pick<ContainerRecord, 'id' | 'image' | 'name' | 'labels'>,
  action: string,
  attributes: Record<string, string> = {},
): void {
  noteEvent(state, { type: 'container', action, id, attributes: { ...labels, image, name, ...attributes } });
}

function append(state: string, line: string): void {
  const { folder, current, older } = journalPlaces(state);
  // With a newline before it too, so that what a killed writer left torn ends there.
  const bytes = Buffer.from(`\n${line}\n`);
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const fd = openJournal(folder, current);
    try {
      writeSync(fd, bytes);
      const stat = fstatSync(fd);
      // Rotated away twice since it was opened: nobody reads that file any more.
      if (stat.nlink === 0) {
        continue;
      }
      if (stat.size > maxJournalSize) {
        rotate(fd, current, older);
      }
      return;
    } finally {
      closeSync(fd);
    }
  }
}

function openJournal(folder: string, path: string): number {
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw error;
    }
    // One level only: where the run-time folder itself is gone, so is whoever would read.
    makeFolder(folder);
    return openSync(path, flags, 0o600);
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw error;
    }
  }
}

/** Who locks the file that still has the name moves it away, once. Whoever finds it locked leaves that to the other. */
function rotate(fd: number, current: string, older: string): void {
  if (!flock(fd, 'exclusive')) {
    return;
  }
  const ours = fstatSync(fd);
  const named = statSync(current, { throwIfNoEntry: false });
  if (named?.ino === ours.ino && named.dev === ours.dev) {
    renameSync(current, older);
  }
}
