import { posix } from 'node:path';

import type { ContainerSettings, RecursiveBind } from './settings';
import type { SpecMount, VolumeStack } from './spec-types';

/** A mount whose host side is known: the folder of a volume exists or is about to. */
export interface ResolvedMount {
  type: 'bind' | 'volume' | 'tmpfs';
  /** Absolute host path; empty for a tmpfs. */
  source: string;
  /** The volume's name, if it has one. */
  name?: string;
  /** An anonymous volume, made for this container. */
  anonymous?: boolean;
  target: string;
  readOnly: boolean;
  subpath?: string;
  noCopy?: boolean;
  recursive?: RecursiveBind;
  propagation?: string;
  sizeBytes?: number;
  mode?: number;
  /** Of a volume that stands on frozen layers. */
  stack?: VolumeStack;
  options: string[];
}

/** Host paths of the three files that are made for each container. */
export interface GeneratedFiles {
  hosts: string;
  hostname: string;
  resolvConf: string;
}

/** Docker's default mounts, then the generated files, then what was asked for, outer folders first. */
export function makeMounts(
  settings: ContainerSettings,
  mounts: readonly ResolvedMount[],
  files: GeneratedFiles,
  rootless: boolean,
): SpecMount[] {
  const taken = new Set(mounts.map(({ target }) => target));
  const defaults = [...defaultMounts(settings, rootless), ...generatedMounts(files, settings.readOnly)];
  const asked = mounts.map(toSpec);
  asked.sort((left, right) => depth(left.destination) - depth(right.destination));
  return [...defaults.filter(({ destination }) => !taken.has(destination)), ...asked];
}

function defaultMounts({ shmBytes, privileged }: ContainerSettings, rootless: boolean): SpecMount[] {
  const kernel = ['nosuid', 'noexec', 'nodev'];
  const access = privileged ? 'rw' : 'ro';
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: kernel },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      // A single-id user namespace has no group 5.
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', ...(rootless ? [] : ['gid=5'])],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...kernel, access] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...kernel, 'relatime', access] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: kernel },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...kernel, 'mode=1777', `size=${shmBytes}`] },
  ];
}

function generatedMounts(files: GeneratedFiles, readOnlyRoot: boolean): SpecMount[] {
  const options = ['rbind', 'rprivate', ...(readOnlyRoot ? ['ro'] : [])];
  return [
    { destination: '/etc/resolv.conf', type: 'bind', source: files.resolvConf, options },
    { destination: '/etc/hostname', type: 'bind', source: files.hostname, options },
    { destination: '/etc/hosts', type: 'bind', source: files.hosts, options },
  ];
}

function toSpec(mount: ResolvedMount): SpecMount {
  const access = mount.readOnly ? ['ro'] : [];
  if (mount.type === 'tmpfs') {
    const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`];
    const mode = [`mode=${(mount.mode ?? 0o1777).toString(8)}`];
    const options = ['nosuid', 'nodev', ...(mount.options.includes('exec') ? [] : ['noexec']), ...mount.options];
    return {
      destination: mount.target,
      type: 'tmpfs',
      source: 'tmpfs',
      options: [...new Set([...options, ...mode, ...size, ...access])],
    };
  }
  // A bind takes along what is mounted below it, and by default nothing travels between the two sides afterwards.
  const bind = mount.recursive === 'disabled' ? 'bind' : 'rbind';
  // What is mounted below a read-only folder would stay writable: as Docker since 25 it becomes read-only too.
  const below = mount.readOnly && bind === 'rbind' && mount.recursive !== 'writable' ? ['rro'] : [];
  const options = [bind, mount.propagation ?? 'rprivate', ...mount.options, ...access, ...below];
  return { destination: mount.target, type: 'bind', source: mount.source, options };
}

function depth(path: string): number {
  return posix.normalize(path).split('/').filter(Boolean).length;
}
