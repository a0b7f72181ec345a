import { closeSync, existsSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import type { DinghyError } from '../errors';
import type { RuntimeSpec } from '../oci/spec-types';
import { withLock } from '../store/locks';
import { makeTemporary } from '../store/temporary';
import { sleep } from '../util/abort';
import { invalidOption } from '../util/checks';
import { ownerOf } from './claim-links';
import { cleanContainer } from './clean';
import type { ContainerControl } from './container-control';
import { noteContainer } from './journal';
import { type ContainerRecord, readRecord } from './record';
import { freeStaleName, nameInUse } from './reserve';
import { takeLock } from './supervisor-link';

const lockedMs = 5000;

/**
 * The container has the new name, for every process, and the old one is free. Its own files are replaced by whoever has its lock,
 * the supervisor or, without one, this process; what a killed process leaves of it is a link that no record confirms, which
 * whoever wants the name, or sweeps, takes away.
 * @throws ERR_NAME_IN_USE, ERR_INVALID_OPTION, ERR_CONTAINER_NOT_FOUND: before anything has changed
 */
export async function renameContainer(control: ContainerControl, name: string): Promise<ContainerRecord> {
  const { paths } = control.context;
  // One at a time in this data folder: while it is held, a link that no record confirms is nobody's work in progress.
  return withLock(paths.lock('names'), async () => {
    const record = readRecord(control.places.record);
    if (!record) {
      throw control.notFound();
    }
    if (record.name === name) {
      throw invalidOption('name', name, 'must be another than the one it has');
    }
    const from = paths.name(record.name);
    const to = paths.name(name);
    await claimName(control, to, name);
    try {
      await moveTo(control, { ...record, name }, { from, to, oldName: record.name });
    } catch (error) {
      rmSync(to, { force: true });
      throw error;
    }
    // The supervisor answers before it removes the container, so this name may be another's only if we are very late.
    if (ownerOf(from) === record.id) {
      rmSync(from, { force: true });
    }
    return { ...record, name };
  });
}

async function claimName({ context, record }: ContainerControl, link: string, name: string): Promise<void> {
  for (;;) {
    try {
      symlinkSync(record.id, link);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw error;
      }
    }
    if (
      !(await freeStaleName(context, link, async (id) => void (await cleanContainer(context, id, { volumes: true }))))
    ) {
      throw nameInUse(name, ownerOf(link));
    }
  }
}

interface NameChange {
  from: string;
  to: string;
  oldName: string;
}

async function moveTo(control: ContainerControl, record: ContainerRecord, change: NameChange): Promise<void> {
  // Beside the bundle: a file that appears in it while it is removed would keep the folder.
  const draft = await makeTemporary(control.context.paths);
  try {
    const spec = JSON.parse(readFileSync(control.places.config, 'utf8')) as RuntimeSpec;
    spec.dinghy.name = record.name;
    spec.dinghy.release = spec.dinghy.release.map((path) => (path === change.from ? change.to : path));
    writeFileSync(join(draft.path, basename(control.places.config)), JSON.stringify(spec), { mode: 0o600 });
    writeFileSync(join(draft.path, basename(control.places.record)), JSON.stringify(record), { mode: 0o600 });
    await adopt(control, draft.path, record, change);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? control.notFound() : error;
  } finally {
    await draft.remove();
  }
}

/** Through the supervisor, which is asked again when it has just gone; without one, under the lock. */
async function adopt(
  control: ContainerControl,
  draft: string,
  record: ContainerRecord,
  change: NameChange,
): Promise<void> {
  const { places, context } = control;
  for (const deadline = Date.now() + lockedMs; ; await sleep(5)) {
    const link = await control.connect();
    if (link) {
      try {
        await link.request(`cannot rename container ${change.oldName}`, 'rename', { draft, ...change });
        return;
      } catch (error) {
        if ((error as DinghyError).code !== 'ERR_SUPERVISOR' || !link.isClosed) {
          throw error;
        }
      } finally {
        link.close();
      }
      // It ended before it answered: whether it did what it was asked the record tells.
      if (readRecord(places.record)?.name === record.name) {
        return;
      }
      continue;
    }
    const lockFd = takeLock(places.lock);
    if (lockFd !== undefined) {
      try {
        renameSync(join(draft, basename(places.config)), places.config);
        renameSync(join(draft, basename(places.record)), places.record);
        noteContainer(context.state, record, 'rename', { oldName: change.oldName });
        return;
      } finally {
        closeSync(lockFd);
      }
    }
    if (!existsSync(places.lock)) {
      throw control.notFound();
    }
    if (Date.now() > deadline) {
      throw control.locked();
    }
  }
}
