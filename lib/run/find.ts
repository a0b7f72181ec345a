import { readlinkSync } from 'node:fs';

import { DinghyError } from '../errors';
import { cleanContainer, listIds, placesOnDisk } from './clean';
import { ContainerControl } from './container-control';
import type { RunContext } from './context';
import { readRecord } from './record';
import { isLocked } from '../store/locks';

/**
 * The container of this name, id, or start of an id, whoever made it.
 *
 * @throws ERR_CONTAINER_NOT_FOUND · ERR_AMBIGUOUS_ID
 */
export function findContainer(context: RunContext, text: string): ContainerControl {
  const named = findByName(context, text);
  const ids = named === undefined ? matchingIds(context, text) : [named];
  if (ids.length > 1) {
    throw new DinghyError({
      code: 'ERR_AMBIGUOUS_ID',
      message: `${JSON.stringify(text)} is the start of ${ids.length} container ids: give more of it`,
      details: { matches: ids },
    });
  }
  const control = ids[0] === undefined ? undefined : openContainer(context, ids[0]);
  if (!control) {
    throw new DinghyError({
      code: 'ERR_CONTAINER_NOT_FOUND',
      message: `no container ${JSON.stringify(text)}: runtime.containers({all: true}) lists those there are`,
      details: { container: text },
    });
  }
  return control;
}

/** Every container, whoever made it; what a killed process left is removed instead of shown. */
export async function listContainers(context: RunContext): Promise<ContainerControl[]> {
  const found: ContainerControl[] = [];
  for (const id of listIds(context)) {
    const control = openContainer(context, id);
    if (!control) {
      continue; // being made, or being removed
    }
    if (!control.record.detached && !isLocked(control.places.lock)) {
      await cleanContainer(context, id, { volumes: true });
      continue;
    }
    found.push(control);
  }
  return found.sort((left, right) => right.record.created.localeCompare(left.record.created));
}

function openContainer(context: RunContext, id: string): ContainerControl | undefined {
  const places = placesOnDisk(context, id);
  const record = readRecord(places.record);
  return record && new ContainerControl(context, places, record);
}

function findByName(context: RunContext, text: string): string | undefined {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(text)) {
    return undefined;
  }
  try {
    const id = readlinkSync(context.paths.name(text));
    // While it is renamed two names lead to it; its record says which is the one. One that is being made has no record.
    const record = readRecord(placesOnDisk(context, id).record);
    return record && record.name !== text ? undefined : id;
  } catch {
    return undefined;
  }
}

function matchingIds(context: RunContext, prefix: string): string[] {
  return /^[0-9a-f]{1,64}$/.test(prefix) ? listIds(context).filter((id) => id.startsWith(prefix)) : [];
}
