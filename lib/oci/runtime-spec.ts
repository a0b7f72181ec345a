import { isDefaultSet } from './capabilities';
import type { ImageConfig } from './image-config';
import type { ContainerSettings } from './settings';
import { signalNumber } from './signals';
import { makeHealth } from './spec-health';
import { makeLinux, type ResolvedDevice } from './spec-linux';
import { type GeneratedFiles, makeMounts, type ResolvedMount } from './spec-mounts';
import { makeProcess } from './spec-process';
import type { DinghySection, RuntimeSpec, SpecResources } from './spec-types';

/** Everything that is not in the options: where the container lies on this host, and what was reserved for it. */
export interface Placement {
  id: string;
  name: string;
  hostname: string;
  rootfs: DinghySection['rootfs'];
  network: DinghySection['network'];
  mounts: readonly ResolvedMount[];
  devices: readonly ResolvedDevice[];
  blockIO?: SpecResources['blockIO'];
  files: GeneratedFiles;
  cgroupsPath: string;
  logPath: string;
  lock: string;
  release: string[];
  /** By several processes, none of which it may end with. */
  shared?: boolean;
  trees: string[];
  anonymousVolumes?: DinghySection['anonymousVolumes'];
  rootless?: DinghySection['rootless'];
  /** A filter compiled for just these capabilities; needed when `needsOwnFilter`. */
  seccompFilter?: string;
}

const sigterm = 15;

/** The whole config.json of a container. Pure: the same input gives the same specification. */
export function makeRuntimeSpec(image: ImageConfig, settings: ContainerSettings, placement: Placement): RuntimeSpec {
  const rootless = placement.rootless !== undefined;
  const { devices, blockIO, cgroupsPath } = placement;
  return {
    ociVersion: '1.2.0',
    process: makeProcess(image, settings, placement.hostname),
    root: { path: 'merged', readonly: settings.readOnly },
    hostname: placement.hostname,
    mounts: makeMounts(settings, placement.mounts, placement.files, rootless),
    linux: makeLinux({ settings, devices, blockIO, cgroupsPath, rootless }),
    dinghy: makeSection(image, settings, placement),
  };
}

/** Whether the built-in seccomp filter doesn't fit: it was compiled for Docker's profile and default capabilities. */
export function needsOwnFilter(settings: ContainerSettings, capabilities: readonly string[]): boolean {
  const { seccomp } = settings;
  return typeof seccomp === 'object' || (!isUnconfined(settings) && !isDefaultSet(capabilities));
}

function isUnconfined({ privileged, seccomp }: ContainerSettings): boolean {
  return seccomp === 'unconfined' || (privileged && seccomp === undefined);
}

function makeSection(image: ImageConfig, settings: ContainerSettings, placement: Placement): DinghySection {
  const user = settings.user ?? image.user;
  const health = makeHealth(image, settings.healthcheck);
  const filter = isUnconfined(settings) ? 'unconfined' : placement.seccompFilter;
  return {
    version: 1,
    id: placement.id,
    name: placement.name,
    detached: settings.detached,
    ...(placement.shared ? { shared: true } : {}),
    rootfs: placement.rootfs,
    ...(user === '' ? {} : { user }),
    ...(settings.groupAdd.length > 0 ? { groupAdd: settings.groupAdd } : {}),
    defaultHome: true,
    log: { path: placement.logPath, ...settings.log },
    stdin: settings.openStdin,
    // Docker fills a new volume from the image, never a host folder or a tmpfs.
    copyUp: placement.mounts.filter(isFilled).map(({ target }) => target),
    ...subpathsOf(placement.mounts),
    ...stacksOf(placement.mounts),
    stop: { signal: stopSignal(image, settings), timeoutMs: settings.stopTimeoutMs },
    init: settings.init,
    autoRemove: settings.autoRemove,
    ...(settings.restart ? { restart: settings.restart } : {}),
    ...(health ? { health } : {}),
    network: placement.network,
    ...(placement.rootless ? { rootless: placement.rootless } : {}),
    ...(filter === undefined ? {} : { seccompFilter: filter }),
    lock: placement.lock,
    release: placement.release,
    trees: placement.trees,
    ...(placement.anonymousVolumes ? { anonymousVolumes: placement.anonymousVolumes } : {}),
  };
}

function isFilled({ type, noCopy, subpath }: ResolvedMount): boolean {
  return type === 'volume' && !noCopy && subpath === undefined;
}

function subpathsOf(mounts: readonly ResolvedMount[]): Pick<DinghySection, 'subpaths'> {
  const found = mounts.flatMap(({ target, subpath }) => (subpath === undefined ? [] : [[target, subpath] as const]));
  return found.length === 0 ? {} : { subpaths: Object.fromEntries(found) };
}

function stacksOf(mounts: readonly ResolvedMount[]): Pick<DinghySection, 'stacks'> {
  const found = mounts.flatMap(({ target, stack }) => (stack === undefined ? [] : [[target, stack] as const]));
  return found.length === 0 ? {} : { stacks: Object.fromEntries(found) };
}

/** A signal that an image names and nobody knows is SIGTERM, as in Docker. */
export function stopSignal(image: ImageConfig, settings: ContainerSettings): number {
  return settings.stopSignal ?? (image.stopSignal ? signalNumber(image.stopSignal) : undefined) ?? sigterm;
}
