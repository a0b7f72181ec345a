import { isDinghyError } from '../errors';
import { withLock } from '../store/locks';
import { dropUnusedImages } from '../store/prune';
import type { Store } from '../store/store';
import { checkBoolean, checkOptions } from '../util/checks';
import { diskUsage } from '../util/disk-usage';
import type { RunContext } from './context';
import { statusOf } from './describe';
import { listContainers } from './find';
import { sweepFrozen } from './frozen';
import { type JournalEvent, noteEvent } from './journal';
import { pruneNetworks } from './network-actions';
import { observe } from './state';
import { dropVolumes } from './volume-actions';

interface Pruned {
  names: string[];
  freedBytes: number;
}

export interface PruneSettings {
  /** `true`: those without a name; `'all'`: every one that no container was made of. */
  images: boolean | 'all';
  containers: boolean;
  /** `true`: anonymous ones; `'all'`: named ones too. */
  volumes: boolean | 'all';
  networks: boolean;
}

export interface PruneOutcome {
  images: string[];
  containers: string[];
  volumes: string[];
  networks: string[];
  freedBytes: number;
}

const ended = ['created', 'exited'];

/** Detached containers that don't run are gone, their volumes not. Those that somebody owns go with their owner. */
async function pruneContainers(context: RunContext): Promise<Pruned> {
  const pruned: Pruned = { names: [], freedBytes: 0 };
  for (const control of await listContainers(context)) {
    if (!control.record.detached || !ended.includes(statusOf(observe(control.places)))) {
      continue;
    }
    const bytes = await diskUsage(control.places.bundle);
    try {
      await control.remove({ force: false, volumes: false });
    } catch (error) {
      // Somebody was faster: it was started again, or removed.
      if (isDinghyError(error) && ['ERR_CONTAINER_RUNNING', 'ERR_CONTAINER_NOT_FOUND'].includes(error.code)) {
        continue;
      }
      throw error;
    }
    pruned.names.push(control.record.id);
    pruned.freedBytes += bytes;
  }
  return pruned;
}

/** Volumes that no container has are gone: those that have no name of their own, or with `all` every one. */
async function pruneVolumes(context: RunContext, { all }: { all: boolean }): Promise<Pruned> {
  return dropVolumes(context, ({ anonymous }, usedBy) => usedBy.length === 0 && (all || anonymous));
}

async function pruneImages(context: RunContext, store: Store, { all }: { all: boolean }): Promise<Pruned> {
  const names = await withLock(context.paths.lock('content'), async () => {
    const used = new Set((await listContainers(context)).map(({ record }) => record.imageId));
    return dropUnusedImages(store, { all, used });
  });
  names.forEach((id) => note(context, 'image', 'delete', id, { name: id }));
  return { names, freedBytes: await store.collect() };
}

function note(
  { state }: RunContext,
  type: JournalEvent['type'],
  action: string,
  id: string,
  attributes: Record<string, string>,
): void {
  noteEvent(state, { type, action, id, attributes });
}

/** As Docker: one event of each kind that was pruned, also where there was nothing. */
function notePruned(context: RunContext, type: JournalEvent['type'], { freedBytes }: Pruned): void {
  note(context, type, 'prune', '', { reclaimed: String(freedBytes) });
}

/** What is asked for is gone; what a container that goes has held goes with it. */
export async function prune(context: RunContext, store: Store, settings: PruneSettings): Promise<PruneOutcome> {
  const nothing: Pruned = { names: [], freedBytes: 0 };
  const containers = settings.containers ? await pruneContainers(context) : nothing;
  const volumes = settings.volumes ? await pruneVolumes(context, { all: settings.volumes === 'all' }) : nothing;
  if (settings.containers) {
    containers.freedBytes += await sweepFrozen(context);
  }
  const networks = settings.networks ? { names: await pruneNetworks(context), freedBytes: 0 } : nothing;
  const images = settings.images ? await pruneImages(context, store, { all: settings.images === 'all' }) : nothing;
  for (const [type, pruned] of [
    ['container', containers],
    ['volume', volumes],
    ['network', networks],
    ['image', images],
  ] as const) {
    if (pruned !== nothing) {
      notePruned(context, type, pruned);
    }
  }
  return {
    containers: containers.names,
    volumes: volumes.names,
    images: images.names,
    networks: networks.names,
    freedBytes: containers.freedBytes + volumes.freedBytes + images.freedBytes,
  };
}

/** Without any option: containers, networks, and images without a name, as `docker system prune`. @throws ERR_INVALID_OPTION */
export function settlePrune(options: unknown): PruneSettings {
  const given = checkOptions('prune', options, ['images', 'containers', 'volumes', 'networks']);
  const kind = (name: string): boolean | 'all' => {
    const value = given[name];
    return value === 'all' ? value : value === undefined ? false : checkBoolean(name, value);
  };
  const containers = given['containers'] === undefined ? false : checkBoolean('containers', given['containers']);
  const networks = given['networks'] === undefined ? false : checkBoolean('networks', given['networks']);
  const named = Object.values(given).some((value) => value !== undefined);
  return named
    ? { images: kind('images'), containers, volumes: kind('volumes'), networks }
    : { images: true, containers: true, volumes: false, networks: true };
}
