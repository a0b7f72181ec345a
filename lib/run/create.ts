import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

import { configOfContainer } from '../oci/container-config';
import type { ImageConfig } from '../oci/image-config';
import { makeRuntimeSpec, type Placement, stopSignal } from '../oci/runtime-spec';
import type { ContainerSettings } from '../oci/settings';
import type { RuntimeSpec } from '../oci/spec-types';
import type { WaitingTask } from '../native/task';
import { launchSupervisor } from './supervisor-link';
import { ownerOf } from './claim-links';
import { cleanContainer, leaveVolumes, removeUnstarted } from './clean';
import type { RunContext } from './context';
import { resolveDevices } from './devices';
import { containerHostname, writeEtcFiles } from './etc-files';
import { layInitialFiles } from './initial-files';
import { resolveIo } from './io-option';
import { reserveNetwork } from './network-place';
import type { ContainerPlaces } from './places';
import type { ContainerRecord } from './record';
import { reserve } from './reserve';
import type { ReuseRequest } from './reuse';
import { seccompFilter } from './seccomp-filter';
import { type AnonymousVolumes, resolveMounts } from './volumes';
import { mountsFrom } from './volumes-from';

/** The image a container is made of, ready to be mounted. */
export interface CreateImage {
  /** As it was named. */
  reference: string;
  id: string;
  config: ImageConfig;
  /** Layer folders, topmost first. */
  lower: string[];
  /** Of a fork. */
  base?: BaseLayers;
}

/** What a container wrote, as layers that others can stand on. */
export interface BaseLayers {
  /** So many of the topmost layer folders are no image's. */
  frozen: number;
  /** By the destination of an anonymous volume: its layers, topmost first. */
  stacks: Record<string, string[]>;
}

/** What is kept of how a container came to be, besides its settings. */
export interface Origin {
  /** The options, as keepOptions() makes them. */
  asked: Record<string, unknown>;
  reuse?: ReuseRequest;
}

/** A container on disk. */
export interface CreatedContainer {
  record: ContainerRecord;
  places: ContainerPlaces;
  /** Of an owned one: it has its lock, and waits to be told of it. */
  supervisor?: WaitingTask;
}

/** Everything of the container is on disk and reserved. After a failure nothing of it is. */
export async function createContainer(
  context: RunContext,
  image: CreateImage,
  settings: ContainerSettings,
  { asked, reuse }: Origin,
): Promise<CreatedContainer> {
  const inherited = mountsFrom(context, settings.volumesFrom);
  const reservation = await reserve(context, settings.name, async (id) => {
    await cleanContainer(context, id, { volumes: true });
  });
  const { places, lockFd, nameLink } = reservation;
  let supervisor: WaitingTask | undefined;
  const { frozen = 0, stacks = {} } = image.base ?? {};
  const volumes: AnonymousVolumes = { user: places.id, folders: [], layers: stacks };
  let release = (): void => undefined;
  try {
    // It gets ready while the files are written here.
    supervisor = settings.detached ? undefined : launchSupervisor(context, lockFd);
    const network = reserveNetwork(context, places.id, settings, image.config);
    release = network.undo;
    const lower = image.lower.length > 0 ? image.lower : [places.empty];
    makeFolders(places, lower);
    layInitialFiles(places.upper, lower, settings.files);
    const mounts = resolveMounts(context, image.config, settings, inherited, volumes);
    const hostname = network.shared?.hostname ?? containerHostname(places.id, settings);
    const filter = await seccompFilter(context, settings);
    const placement: Placement = {
      id: places.id,
      name: reservation.name,
      hostname,
      rootfs: {
        type: 'overlay',
        lower,
        upper: places.upper,
        work: places.work,
        // Otherwise an unmount would sync the whole file system of the upper: nothing of an owned container outlives it.
        volatile: !settings.detached,
        userxattr: context.rootless !== undefined,
        ...(frozen > 0 ? { frozen } : {}),
      },
      network: network.section,
      mounts,
      devices: resolveDevices(settings),
      ...(settings.io ? { blockIO: resolveIo(settings.io) } : {}),
      files: network.shared?.files ?? writeEtcFiles(places.etc, settings, hostname, network.section),
      cgroupsPath: `/dinghy/${places.id}`,
      shared: reuse !== undefined,
      logPath: places.log,
      lock: places.lock,
      release: [nameLink, ...(reuse ? [reuse.link] : [])],
      trees: [places.bundle, places.runtime],
      // As `docker run --rm` does, a container that removes itself takes its anonymous volumes along; so does an owned one.
      ...(volumes.folders.length > 0
        ? { anonymousVolumes: { folders: volumes.folders, keep: settings.detached && !settings.autoRemove } }
        : {}),
      ...(context.rootless ? { rootless: context.rootless } : {}),
      ...(filter === undefined ? {} : { seccompFilter: filter }),
    };
    const spec = makeRuntimeSpec(image.config, settings, placement);
    writeFileSync(places.config, JSON.stringify(spec), { mode: 0o600 });
    const record = { ...makeRecord(context, image, settings, spec, placement, reuse), asked };
    if (reuse) {
      claimKey(reuse, places.id);
    }
    writeRecord(places, record);
    return { record, places, ...(supervisor ? { supervisor } : {}) };
  } catch (error) {
    supervisor?.abandon();
    release();
    if (reuse && ownerOf(reuse.link) === places.id) {
      rmSync(reuse.link, { force: true });
    }
    await leaveVolumes(context, places.id, volumes.folders).catch(() => undefined); // the next sweep does it
    removeUnstarted(places, nameLink);
    throw error;
  } finally {
    closeSync(lockFd);
  }
}

/** Whoever has the key's lock: an older container that it led to has ended. It holds once the record says the same. */
function claimKey({ link }: ReuseRequest, id: string): void {
  mkdirSync(dirname(link), { recursive: true, mode: 0o700 });
  rmSync(link, { force: true });
  symlinkSync(id, link);
}

/** Written last and by rename: who finds a record finds all else. */
function writeRecord(places: ContainerPlaces, record: ContainerRecord): void {
  const draft = `${places.record}.new`;
  writeFileSync(draft, JSON.stringify(record), { mode: 0o600 });
  renameSync(draft, places.record);
}

function makeFolders(places: ContainerPlaces, lower: readonly string[]): void {
  mkdirSync(places.runtime, { recursive: true, mode: 0o700 });
  for (const folder of [places.upper, places.work, places.etc, dirname(places.log)]) {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
  }
  if (lower[0] === places.empty) {
    mkdirSync(places.empty);
    chmodSync(places.empty, 0o755);
  }
  // There from the start, so that whoever attaches has it open before its first byte.
  writeFileSync(places.log, '', { mode: 0o600 });
  // The root of the merged tree has the mode and owner of its topmost layer, which is the upper.
  const model = statSync(lower[0]!);
  chmodSync(places.upper, model.mode & 0o7777);
  if (process.geteuid?.() === 0) {
    chownSync(places.upper, model.uid, model.gid);
  }
}

function makeRecord(
  context: RunContext,
  image: CreateImage,
  settings: ContainerSettings,
  spec: RuntimeSpec,
  { id, name, hostname, mounts, network }: Placement,
  reuse: ReuseRequest | undefined,
): ContainerRecord {
  return {
    version: 1,
    id,
    name,
    image: image.reference,
    imageId: image.id,
    created: new Date().toISOString(),
    detached: settings.detached,
    autoRemove: settings.autoRemove,
    ownerPid: process.pid,
    rootfsProvider: context.provider,
    labels: settings.labels,
    env: spec.process.env,
    args: spec.process.args,
    workdir: spec.process.cwd,
    user: settings.user ?? image.config.user,
    hostname,
    tty: settings.terminal !== undefined,
    openStdin: settings.openStdin,
    ports: network.mode === 'bridge' ? network.ports : [],
    mounts: [...mounts],
    network:
      network.mode === 'container' ? { mode: network.mode, container: network.container } : { mode: network.mode },
    stopSignal: stopSignal(image.config, settings),
    stopTimeoutMs: settings.stopTimeoutMs,
    ...(reuse ? { reuse: { key: reuse.key, named: reuse.named, options: reuse.options } } : {}),
    config: configOfContainer(image.config, settings),
  };
}
