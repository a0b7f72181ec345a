import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';

import { DinghyError } from '../errors';
import type { ImageConfig } from '../oci/image-config';
import type { ContainerSettings, MountSetting } from '../oci/settings';
import type { ResolvedMount } from '../oci/spec-mounts';
import type { StorePaths } from '../store/paths';
import type { VolumeDocument } from './anonymous-volumes';

/** The anonymous volumes that are being made, and for which container, if they go with it. */
export interface MadeVolumes {
  owner?: string;
  folders: string[];
}

/**
 * The mounts with their host sides: binds that exist, named volumes (made where missing), and for the image's volumes that
 * nothing else covers an anonymous one each. The folders of anonymous volumes that were made are in `made`: the caller removes
 * them when it fails later.
 */
export function resolveMounts(
  paths: StorePaths,
  image: ImageConfig,
  settings: ContainerSettings,
  made: MadeVolumes,
): ResolvedMount[] {
  const covered = new Set(settings.mounts.map(({ target }) => target));
  const ofImage = image.volumes.map(imageVolume).filter((target) => !covered.has(target));
  const wanted: MountSetting[] = [
    ...settings.mounts,
    ...[...new Set(ofImage)].map((target) => ({ type: 'volume' as const, target, readOnly: false, options: [] })),
  ];
  return wanted.map((mount) => resolveMount(paths, mount, made));
}

function resolveMount(paths: StorePaths, mount: MountSetting, made: MadeVolumes): ResolvedMount {
  const { createSource: _createSource, ...rest } = mount;
  if (mount.type === 'tmpfs') {
    return { ...rest, source: '' };
  }
  if (mount.type === 'bind') {
    return { ...rest, source: bindSource(mount) };
  }
  if (mount.source !== undefined) {
    return { ...rest, source: makeVolume(paths, mount.source, undefined), name: mount.source };
  }
  const name = randomBytes(32).toString('hex');
  made.folders.push(paths.volume(name));
  const source = makeVolume(paths, name, made);
  return { ...rest, source, name, anonymous: true };
}

function bindSource({ source = '', createSource }: MountSetting): string {
  if (!existsSync(source)) {
    if (!createSource) {
      throw new DinghyError({
        code: 'ERR_INVALID_OPTION',
        message: `option mounts: the source ${source} does not exist on this host: make it first`,
        details: { option: 'mounts', source },
      });
    }
    mkdirSync(source, { recursive: true });
  }
  statSync(source);
  return posix.normalize(source);
}

/** The volume's data folder exists; who comes second finds the first one's. */
function makeVolume(paths: StorePaths, name: string, made: MadeVolumes | undefined): string {
  const folder = paths.volume(name);
  const data = join(folder, '_data');
  const document = join(folder, 'volume.json');
  // 0755 as Docker's: what is in the container decides who may enter, and nobody gets past the 0700 of the data root from outside.
  mkdirSync(data, { recursive: true, mode: 0o755 });
  try {
    const content: VolumeDocument = {
      name,
      created: new Date().toISOString(),
      labels: {},
      anonymous: made !== undefined,
      ...(made?.owner === undefined ? {} : { owner: made.owner }),
    };
    writeFileSync(document, JSON.stringify(content), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw error;
    }
  }
  return data;
}

// An image's volume is a path that its author wrote: it stays below the root and does not replace proc, sys or dev (CVE-2022-23648).
function imageVolume(path: string): string {
  const target = posix.join('/', path).replace(/(.)\/+$/, '$1');
  if (target === '/' || /^\/(proc|sys|dev)(\/|$)/.test(target) || /[\0\r\n]/.test(target)) {
    throw new DinghyError({
      code: 'ERR_INVALID_IMAGE',
      message: `the image declares a volume at ${JSON.stringify(path)}, where none may be: run another image`,
    });
  }
  return target;
}
