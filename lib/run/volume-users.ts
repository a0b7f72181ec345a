import { DinghyError } from '../errors';
import type { ContainerRecord } from './record';

/** By a volume's name, the names of the containers that have it, running or not. */
export function usersByVolume(records: Iterable<ContainerRecord>): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const record of records) {
    for (const { name } of record.mounts) {
      if (name !== undefined) {
        users.set(name, [...(users.get(name) ?? []), record.name]);
      }
    }
  }
  return users;
}

/** @param what cannot be done, and why: `cannot remove volume v` */
export function volumeInUse(what: string, volume: string, containers: readonly string[]): DinghyError {
  const isOne = containers.length === 1;
  return new DinghyError({
    code: 'ERR_VOLUME_IN_USE',
    message: `${what}: ${containers.join(', ')} ${isOne ? 'has' : 'have'} it: remove ${isOne ? 'that container' : 'those containers'} first`,
    details: { volume, containers: [...containers] },
  });
}
