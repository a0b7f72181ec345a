import type { ContainerSettings } from './settings';
import type { SpecDevice, SpecDeviceRule, SpecLinux, SpecResources } from './spec-types';

/** A device node of the host that the container gets, and what it may do with it. */
export interface ResolvedDevice extends SpecDevice {
  /** Any of `r`, `w`, `m`. */
  permissions: string;
}

export type Limits = Pick<
  ContainerSettings,
  'memoryBytes' | 'memoryReservationBytes' | 'memorySwapBytes' | 'cpus' | 'cpuShares' | 'cpuset' | 'pids'
>;

export interface LinuxRequest {
  settings: ContainerSettings;
  devices: readonly ResolvedDevice[];
  blockIO?: SpecResources['blockIO'];
  cgroupsPath: string;
  rootless: boolean;
}

// Docker's lists (moby, oci/defaults.go): files of proc and sys that tell of, or act on, the whole machine.
const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

// null, zero, full, random, urandom, tty, console, ptmx, and every pseudo-terminal.
const defaultRules: readonly SpecDeviceRule[] = [
  { allow: false, access: 'rwm' },
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  ...[
    [1, 3],
    [1, 5],
    [1, 7],
    [1, 8],
    [1, 9],
    [5, 0],
    [5, 1],
    [5, 2],
  ].map(([major, minor]) => ({ allow: true, type: 'c' as const, major, minor, access: 'rwm' })),
  { allow: true, type: 'c', major: 136, access: 'rwm' },
];

/** Namespaces, limits, devices, sysctls, and what of proc and sys is hidden. */
export function makeLinux({ settings, devices, blockIO, cgroupsPath, rootless }: LinuxRequest): SpecLinux {
  const types = ['pid', 'mount', 'ipc', 'uts', 'cgroup', ...(settings.network.mode === 'host' ? [] : ['network'])];
  return {
    namespaces: types.map((type) => ({ type })),
    cgroupsPath,
    resources: { ...makeResources(settings, devices, rootless), ...(blockIO ? { blockIO } : {}) },
    devices: devices.map(({ permissions: _permissions, ...device }) => device),
    sysctl: makeSysctls(settings, rootless),
    maskedPaths: settings.privileged ? [] : maskedPaths,
    readonlyPaths: settings.privileged ? [] : readonlyPaths,
  };
}

function makeSysctls(settings: ContainerSettings, rootless: boolean): Record<string, string> {
  if (settings.network.mode === 'host' || settings.network.mode === 'container') {
    return settings.sysctls;
  }
  return {
    'net.ipv4.ip_unprivileged_port_start': '0',
    // Refused in a user namespace that doesn't map all of these groups.
    ...(rootless ? {} : { 'net.ipv4.ping_group_range': '0 2147483647' }),
    ...settings.sysctls,
  };
}

function makeResources(
  settings: ContainerSettings,
  devices: readonly ResolvedDevice[],
  rootless: boolean,
): SpecResources {
  const { memoryBytes, memorySwapBytes } = settings;
  // As in Docker as much swap as memory, unless something else is asked for. A host that doesn't count swap passes over it.
  const swap = memorySwapBytes ?? (memoryBytes === undefined ? undefined : 2 * memoryBytes);
  return {
    ...makeLimits({ ...settings, memorySwapBytes: swap }),
    ...(rootless ? {} : { devices: makeRules(settings, devices) }),
  };
}

const period = 100000; // microseconds

/** The limits that are there, and nothing of those that are not. */
export function makeLimits(settings: Limits): SpecResources {
  const memory = defined({
    limit: settings.memoryBytes,
    reservation: settings.memoryReservationBytes,
    swap: settings.memorySwapBytes,
  });
  const cpu = defined({
    shares: settings.cpuShares,
    cpus: settings.cpuset,
    ...(settings.cpus === undefined ? {} : { quota: Math.round(settings.cpus * period), period }),
  });
  return {
    ...(memory ? { memory } : {}),
    ...(cpu ? { cpu } : {}),
    ...(settings.pids === undefined ? {} : { pids: { limit: settings.pids } }),
  };
}

/** The other way round, for people: a limit that is not there is undefined. */
export function limitsOf({ memory, cpu, pids }: SpecResources): Omit<Limits, 'memoryReservationBytes'> {
  return {
    memoryBytes: memory?.limit,
    memorySwapBytes: memory?.swap,
    cpus: cpu?.quota === undefined ? undefined : cpu.quota / (cpu.period ?? period),
    cpuShares: cpu?.shares,
    cpuset: cpu?.cpus,
    pids: pids?.limit,
  };
}

function makeRules({ privileged }: ContainerSettings, devices: readonly ResolvedDevice[]): SpecDeviceRule[] {
  if (privileged) {
    return [{ allow: true, access: 'rwm' }];
  }
  const asked = devices
    .filter(({ type }) => type !== 'p')
    .map(({ type, major, minor, permissions }) => ({
      allow: true,
      type: type as 'c' | 'b',
      major,
      minor,
      access: permissions,
    }));
  return [...defaultRules, ...asked];
}

function defined<T extends object>(values: T): T | undefined {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return entries.length > 0 ? (Object.fromEntries(entries) as T) : undefined;
}
