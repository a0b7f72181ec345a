import { existsSync, mkdirSync, statSync } from 'node:fs';
import { posix } from 'node:path';

import { DinghyError } from '../errors';
import type { ImageConfig } from '../oci/image-config';
import type { ContainerSettings, MountSetting } from '../oci/settings';
import type { ResolvedMount } from '../oci/spec-mounts';
import { noteEvent } from './journal';
import type { RunContext } from './context';
import { anonymousName, ensureVolume, type NewVolume, volumeData } from './volume-store';

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
  context: RunContext,
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
  return wanted.map((mount) => resolveMount(context, mount, made));
}

function resolveMount(context: RunContext, mount: MountSetting, made: MadeVolumes): ResolvedMount {
  const { createSource: _createSource, ...rest } = mount;
  if (mount.type === 'tmpfs') {
    return { ...rest, source: '' };
  }
  if (mount.type === 'bind') {
    return { ...rest, source: bindSource(mount) };
  }
  if (mount.source !== undefined) {
    const name = mount.source;
    return { ...rest, source: makeVolume(context, { name, labels: {}, anonymous: false }), name };
  }
  const name = anonymousName();
  made.folders.push(context.paths.volume(name));
  const owner = made.owner === undefined ? {} : { owner: made.owner };
  return {
    ...rest,
    source: makeVolume(context, { name, labels: {}, anonymous: true, ...owner }),
    name,
    anonymous: true,
  };
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

/** @returns where the volume's files lie */
export function makeVolume({ paths, state }: RunContext, volume: NewVolume): string {
  if (ensureVolume(paths, volume)) {
    noteEvent(state, { type: 'volume', action: 'create', id: volume.name, attributes: { driver: 'local' } });
  }
  return volumeData(paths, volume.name);
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
