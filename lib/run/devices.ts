import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import type { ContainerSettings } from '../oci/settings';
import type { ResolvedDevice } from '../oci/spec-linux';
import { numbersOf } from './device-number';

/** The host's devices that the container gets; a folder stands for the devices in it; privileged means all of them. */
export function resolveDevices({ devices, privileged }: ContainerSettings): ResolvedDevice[] {
  const asked = devices.flatMap(({ source, target, permissions }) => resolveDevice(source, target, permissions));
  return privileged ? [...hostDevices(), ...asked] : asked;
}

function resolveDevice(source: string, target: string, permissions: string): ResolvedDevice[] {
  let device: ResolvedDevice | undefined;
  try {
    const stat = statSync(source);
    if (stat.isDirectory()) {
      return readdirSync(source).flatMap((name) => {
        const below = statSync(join(source, name), { throwIfNoEntry: false });
        const usable =
          below?.isDirectory() === true || below?.isCharacterDevice() === true || below?.isBlockDevice() === true;
        return usable ? resolveDevice(join(source, name), join(target, name), permissions) : [];
      });
    }
    device = deviceOf(source, target, permissions);
  } catch (error) {
    throw unusable(source, error);
  }
  if (!device) {
    throw unusable(source, undefined);
  }
  return [device];
}

function deviceOf(source: string, target: string, permissions: string): ResolvedDevice | undefined {
  const stat = statSync(source);
  const type = stat.isCharacterDevice() ? 'c' : stat.isBlockDevice() ? 'b' : undefined;
  if (!type) {
    return undefined;
  }
  const { major, minor } = numbersOf(stat.rdev);
  return { type, path: target, major, minor, fileMode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, permissions };
}

// What each container has of its own: terminals, shared memory, message queues, and the links to them.
const ownFolders = new Set(['pts', 'shm', 'mqueue', 'fd', '.lxc', '.lxd-mounts', '.udev']);

function hostDevices(folder = '/dev', depth = 0): ResolvedDevice[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      return depth < 3 && !ownFolders.has(entry.name) ? hostDevices(path, depth + 1) : [];
    }
    const isDevice = entry.isCharacterDevice() || entry.isBlockDevice();
    const device = isDevice && !['console', 'ptmx'].includes(entry.name) ? deviceOf(path, path, 'rwm') : undefined;
    return device ? [device] : [];
  });
}

function unusable(source: string, cause: unknown): DinghyError {
  const why = cause ? ((cause as NodeJS.ErrnoException).code ?? (cause as Error).message) : 'it is no device';
  return new DinghyError({
    code: 'ERR_INVALID_OPTION',
    message: `option devices: ${source} cannot be used: ${why}`,
    details: { option: 'devices' },
    cause,
  });
}
