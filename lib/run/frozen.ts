import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { withLock } from '../store/locks';
import { listIds, removeTrees } from './clean';
import { readSpec } from './config-file';
import type { RunContext } from './context';
import { containerPlaces, type ContainerPlaces } from './places';
import { ownLayers } from './writable-layers';

/** A name for a layer that nobody has yet. */
export function newFrozenLayer({ frozen }: ContainerPlaces): string {
  mkdirSync(frozen, { recursive: true, mode: 0o700 });
  return join(frozen, randomBytes(12).toString('hex'));
}

/** The frozen layers that the container stands on, its volumes' too. */
export function frozenLayersOf(config: string): string[] {
  const section = readSpec(config)?.dinghy;
  if (!section) {
    return [];
  }
  const stacks = Object.values(section.stacks ?? {}).flatMap(({ lower }) => lower);
  return [...ownLayers(section.rootfs).slice(1), ...stacks];
}

/**
 * Frozen layers that no container stands on any more are gone, those of `only` or all. Nobody can begin to need one meanwhile: forks
 * are made under the shared form of the lock that this takes. Whoever makes a container must not wait for it.
 * @returns the bytes that were freed
 */
export async function sweepFrozen(context: RunContext, only?: readonly string[]): Promise<number> {
  const candidates = only ?? layersOnDisk(context);
  if (candidates.length === 0) {
    return 0;
  }
  const graves = await withLock(context.paths.lock('content'), async () => {
    const unused = new Set(candidates);
    for (const id of listIds(context)) {
      if (unused.size === 0) {
        break;
      }
      frozenLayersOf(join(context.paths.container(id), 'config.json')).forEach((layer) => unused.delete(layer));
    }
    return [...unused].flatMap((layer) => bury(layer));
  });
  return graves.length === 0 ? 0 : removeTrees(context, graves);
}

/** Quick, whatever its size: others wait for the lock. What a killed process leaves unburied is found by its name. */
function bury(layer: string): string[] {
  if (isGrave(layer)) {
    return [layer];
  }
  const grave = join(dirname(layer), `${basename(layer)}${graveEnding}`);
  try {
    renameSync(layer, grave);
    return [grave];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return []; // somebody else was faster
    }
    throw error;
  }
}

const graveEnding = '.gone';

function isGrave(layer: string): boolean {
  return layer.endsWith(graveEnding);
}

function layersOnDisk({ paths, state }: RunContext): string[] {
  const folders = (['overlay', 'overlay-tmpfs'] as const).map(
    (provider) => containerPlaces(paths, state, '0'.repeat(64), provider).frozen,
  );
  return folders.flatMap((folder) => {
    try {
      return readdirSync(folder).map((name) => join(folder, name));
    } catch {
      return []; // nothing was ever frozen
    }
  });
}
