import { closeSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';

import { createLog } from '../log';
import { runTask } from '../native/task';
import { linkName } from '../network/endpoint';
import type { DinghySection, EndpointSection } from '../oci/spec-types';
import { ownerOf } from './claim-links';
import { readSpec } from './config-file';
import type { RunContext } from './context';
import { containerPlaces, type ContainerPlaces } from './places';
import { noteContainer } from './journal';
import { type ContainerRecord, readRecord } from './record';
import { checkReply } from './start-error';
import { observe, readState, unseenEnd } from './state';
import { takeLock } from './supervisor-link';
import { anonymousFolders, volumesOf } from './volume-store';

const log = createLog('clean');

/** A folder without a lock is one that is being made, or that its maker left when it was killed: after this time the latter. */
const abandonedAfterMs = 10_000;

/** Trees are removed by the binary: they may hold other users' files and closed folders, and links that lead anywhere. */
export async function removeTrees({ rootless }: RunContext, trees: readonly string[]): Promise<number> {
  const reply = checkReply(
    'cannot remove files',
    await runTask('clean', 'clean', { trees, cgroups: [], links: [], files: [], ...(rootless ? { rootless } : {}) }),
  );
  return Number(reply['freedBytes'] ?? 0);
}

/** The container has these anonymous volumes no more; of those that nobody else has the files are gone too. */
export async function leaveVolumes({ rootless }: RunContext, container: string, folders: string[]): Promise<void> {
  if (folders.length > 0) {
    const request = { trees: [], cgroups: [], links: [], files: [], container, anonymousVolumes: { folders } };
    checkReply(
      'cannot remove volumes',
      await runTask('clean', 'clean', { ...request, ...(rootless ? { rootless } : {}) }),
    );
  }
}

/**
 * What is left of a container that no supervisor serves is gone: files, cgroup, links, name, address. Does nothing when one
 * does, or when somebody else is at it.
 *
 * @returns whether it was removed
 */
export async function cleanContainer(context: RunContext, id: string, options: { volumes: boolean }): Promise<boolean> {
  const places = placesOnDisk(context, id);
  const lockFd = takeLock(places.lock);
  if (lockFd === undefined && !isAbandoned(places)) {
    return false;
  }
  try {
    const section = readSpec(places.config)?.dinghy;
    const record = readRecord(places.record);
    if (record) {
      settleDeath(context, places, record);
    }
    // Those of a creation that was cut short are in no record, and nobody else's.
    const folders = new Set([
      ...anonymousFolders(context.paths, record?.mounts ?? []),
      ...volumesOf(context.paths, id),
    ]);
    const trees = new Set([places.bundle, places.runtime, ...(section?.trees ?? [])]);
    checkReply(
      `cannot remove container ${id.slice(0, 12)}`,
      await runTask('clean', 'clean', {
        trees: [...trees],
        container: id,
        anonymousVolumes: { folders: [...folders], keep: record !== undefined && !options.volumes },
        ...kernelObjects(id, section),
        ...(context.rootless ? { rootless: context.rootless } : {}),
        files: [...(section?.release ?? []), ...endpointsOf(section).flatMap(({ claims }) => claims)].filter((path) =>
          isStillOurs(path, id),
        ),
      }),
    );
    if (record) {
      noteContainer(context.state, record, 'destroy');
    }
    log('removed what was left of %s', id);
    return true;
  } finally {
    if (lockFd !== undefined) {
      closeSync(lockFd);
    }
  }
}

/** What lives in the kernel and outlives a killed supervisor. */
function kernelObjects(id: string, section: DinghySection | undefined): { cgroups: string[]; links: string[] } {
  return {
    cgroups: [`/dinghy/${id}`],
    // The veth has the container's short id in its name; its bridge goes when it was the last one's.
    links: endpointsOf(section).flatMap(({ number, bridge }) => [linkName(id, number), bridge]),
  };
}

function endpointsOf(section: DinghySection | undefined): EndpointSection[] {
  return section?.network.mode === 'bridge' ? section.network.endpoints : [];
}

/**
 * For whoever holds the lock: where a supervisor was killed, or the host was switched off, the container's end stands in the journal
 * and in its state, without a code, for nobody saw it. `finishedAt` tells one end from another there, and is when it was noticed. First the event, so that a
 * crash between the two tells it twice rather than never.
 */
export function settleDeath(context: RunContext, places: ContainerPlaces, record: ContainerRecord): boolean {
  const state = readState(places.state);
  if (!state || state.status === 'created' || state.status === 'stopped') {
    return false;
  }
  const error = unseenEnd(state);
  noteContainer(context.state, record, 'die', { error });
  const { exitCode: _code, signal: _signal, ...rest } = state;
  const finishedAt = new Date().toISOString();
  const draft = `${places.state}.new`;
  const ended = { ...rest, status: 'stopped', pid: 0, finishedAt, error };
  writeFileSync(draft, JSON.stringify(ended), { mode: 0o600 });
  renameSync(draft, places.state);
  return true;
}

/** As settleDeath; and what the dead supervisor left in the kernel is gone, which goes by itself too, but later than the next may need it. The files stay. */
export async function buryDead(context: RunContext, places: ContainerPlaces, record: ContainerRecord): Promise<void> {
  if (settleDeath(context, places, record)) {
    const fields = { ...kernelObjects(places.id, readSpec(places.config)?.dinghy), trees: [], files: [] };
    const rootless = context.rootless ? { rootless: context.rootless } : {};
    checkReply('cannot clean up', await runTask('clean', 'clean', { ...fields, ...rootless }));
  }
}

/** As buryDead, when nobody else has the lock. */
async function settleDead(context: RunContext, places: ContainerPlaces, record: ContainerRecord): Promise<void> {
  if (!observe(places).dead) {
    return;
  }
  const lockFd = takeLock(places.lock);
  if (lockFd === undefined) {
    return;
  }
  try {
    await buryDead(context, places, record);
  } finally {
    closeSync(lockFd);
  }
}

/** Owned containers whose supervisor is gone are removed; of detached ones it is told that they ended. Living ones stay. */
export async function sweepContainers(context: RunContext): Promise<void> {
  for (const id of listIds(context)) {
    try {
      const places = placesOnDisk(context, id);
      const record = readRecord(places.record);
      if (record?.detached) {
        await settleDead(context, places, record);
      } else {
        await cleanContainer(context, id, { volumes: true });
      }
    } catch (error) {
      log('cannot remove what is left of %s: %s', id, error);
    }
  }
}

/** The ids that have a folder, whatever state they are in. */
export function listIds(context: RunContext): string[] {
  try {
    return readdirSync(context.paths.containers).filter((name) => /^[0-9a-f]{64}$/.test(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return [];
    }
    throw error;
  }
}

/** Where it lies: its record says which provider made its root, which may be another one than this process would choose. */
export function placesOnDisk(context: RunContext, id: string): ContainerPlaces {
  const places = containerPlaces(context.paths, context.state, id, context.provider);
  const provider = readRecord(places.record)?.rootfsProvider ?? context.provider;
  return provider === context.provider ? places : containerPlaces(context.paths, context.state, id, provider);
}

/** What nobody has a supervisor, a network or a cgroup for yet: the folders and the name of a creation that failed. */
export function removeUnstarted(places: ContainerPlaces, nameLink: string): void {
  rmSync(nameLink, { force: true });
  for (const path of [places.runtime, places.bundle]) {
    rmSync(path, { recursive: true, force: true });
  }
}

// A name or an address that was freed and taken again is another container's.
function isStillOurs(path: string, id: string): boolean {
  try {
    return ownerOf(path) === id || readFileSync(path, 'utf8') === id;
  } catch {
    return false;
  }
}

function isAbandoned(places: ContainerPlaces): boolean {
  const bundle = statSync(places.bundle, { throwIfNoEntry: false });
  const lock = statSync(places.lock, { throwIfNoEntry: false });
  return bundle !== undefined && lock === undefined && Date.now() - bundle.mtimeMs > abandonedAfterMs;
}
