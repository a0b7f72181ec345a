import { existsSync, mkdirSync, statSync } from 'node:fs';
import { posix } from 'node:path';

import { DinghyError } from '../errors';
import type { ImageConfig } from '../oci/image-config';
import type { ContainerSettings, MountSetting } from '../oci/settings';
import type { ResolvedMount } from '../oci/spec-mounts';
import type { VolumeStack } from '../oci/spec-types';
import { noteEvent } from './journal';
import type { RunContext } from './context';
import {
  anonymousName,
  assertShareable,
  ensureVolume,
  joinVolume,
  type NewVolume,
  volumeData,
  volumeWork,
} from './volume-store';

/** The anonymous volumes that the container `user` has so far, by the folders they lie in. */
export interface AnonymousVolumes {
  user: string;
  folders: string[];
  /** By destination: the layers, topmost first, that an anonymous volume stands on. */
  layers?: Readonly<Record<string, string[]>>;
}

/**
 * The mounts with their host sides: binds that exist, named volumes (made where missing), what other containers have (`inherited`),
 * and for the image's volumes that nothing else covers an anonymous one each. The folders of anonymous volumes that it has now are
 * in `anonymous`: the caller leaves them when it fails later.
 */
export function resolveMounts(
  context: RunContext,
  image: ImageConfig,
  settings: ContainerSettings,
  inherited: readonly ResolvedMount[],
  anonymous: AnonymousVolumes,
): ResolvedMount[] {
  const asked = new Set(settings.mounts.map(({ target }) => target));
  const joined = inherited.filter(({ target }) => !asked.has(target));
  const covered = new Set([...asked, ...joined.map(({ target }) => target)]);
  const ofImage = image.volumes.map(imageVolume).filter((target) => !covered.has(target));
  const wanted: MountSetting[] = [
    ...settings.mounts,
    ...[...new Set(ofImage)].map((target) => ({ type: 'volume' as const, target, readOnly: false, options: [] })),
  ];
  joined.forEach((mount) => joinAnonymous(context, mount, anonymous));
  return [...joined, ...wanted.map((mount) => resolveMount(context, mount, anonymous))];
}

function joinAnonymous({ paths }: RunContext, mount: ResolvedMount, { user, folders }: AnonymousVolumes): void {
  if (!mount.anonymous || mount.name === undefined) {
    return;
  }
  assertShareable(paths, mount.name);
  const folder = paths.volume(mount.name);
  if (!joinVolume(folder, user)) {
    throw new DinghyError({
      code: 'ERR_VOLUME_NOT_FOUND',
      message: `option volumesFrom: the volume at ${mount.target} is removed, with the container that had it: name one that stays`,
      details: { volume: mount.name, option: 'volumesFrom' },
    });
  }
  folders.push(folder);
}

function resolveMount(context: RunContext, mount: MountSetting, anonymous: AnonymousVolumes): ResolvedMount {
  const { createSource: _createSource, ...rest } = mount;
  if (mount.type === 'tmpfs') {
    return { ...rest, source: '' };
  }
  if (mount.type === 'bind') {
    return { ...rest, source: bindSource(mount) };
  }
  if (mount.source !== undefined) {
    const name = mount.source;
    assertShareable(context.paths, name);
    return { ...rest, source: makeVolume(context, { name, labels: {}, anonymous: false }), name };
  }
  const name = anonymousName();
  anonymous.folders.push(context.paths.volume(name));
  const source = makeVolume(context, { name, labels: {}, anonymous: true, user: anonymous.user });
  const stack = makeStack(context, name, anonymous.layers?.[mount.target]);
  return { ...rest, source, name, anonymous: true, ...(stack ? { stack } : {}) };
}

function makeStack({ paths }: RunContext, name: string, lower: readonly string[] = []): VolumeStack | undefined {
  if (lower.length === 0) {
    return undefined;
  }
  const work = volumeWork(paths, name);
  mkdirSync(work, { mode: 0o700 });
  return { lower: [...lower], work };
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
