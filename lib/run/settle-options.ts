import { isIP } from 'node:net';

import { parsePorts } from '../network/ports';
import { capabilityName } from '../oci/capabilities';
import { settleSeccompProfile } from '../oci/seccomp-profile';
import type { ContainerSettings, DeviceSetting, FileSetting } from '../oci/settings';
import { signalNumber } from '../oci/signals';
import {
  checkAbsolutePath,
  checkArgument,
  checkArray,
  checkBoolean,
  checkChoice,
  checkDuration,
  checkInteger,
  checkOptions,
  checkRecord,
  checkText,
  invalidOption,
  isPlainObject,
  type PlainObject,
} from '../util/checks';
import { notImplemented } from '../util/not-implemented';
import { parseSize } from '../util/size';
import { settleDns } from './dns-options';
import { settleHealthcheck } from './healthcheck-option';
import { settleHostPorts } from './host-ports-option';
import { settleIo } from './io-option';
import { checkSwap, settleLimits } from './limit-options';
import { settleMounts, settleVolumesFrom } from './mount-options';
import { settleNetwork } from './network-option';
import { settleRestart } from './restart-option';
import { settleUlimits } from './ulimit-options';

/** Names that create and run know; the Runtime's own (`pull`, `signal`, …) are checked where they are used. */
export const containerOptionNames = [
  ...['name', 'command', 'entrypoint', 'env', 'workdir', 'user', 'groupAdd', 'hostname', 'tty', 'openStdin', 'ports'],
  ...['mounts', 'tmpfs', 'files', 'network', 'aliases', 'dns', 'dnsSearch', 'dnsOptions', 'extraHosts', 'hostPorts'],
  ...[
    'publishAll',
    'volumesFrom',
    'pid',
    'ipc',
    'memory',
    'memoryReservation',
    'memorySwap',
    'cpus',
    'cpuShares',
    'cpuset',
    'pids',
    'io',
  ],
  ...['oomScoreAdj', 'shmSize', 'ulimits', 'readOnly', 'capAdd', 'capDrop', 'privileged', 'seccomp'],
  ...['noNewPrivileges', 'devices', 'sysctls', 'labels', 'restart', 'healthcheck', 'stopSignal', 'stopTimeoutMs'],
  ...['init', 'autoRemove', 'log', 'waitFor', 'detached', 'reuse', 'signal'],
] as const;

const defaultStopTimeoutMs = 10_000;
const defaultShmBytes = 64 * 1024 * 1024;

/**
 * The options, checked to the last, before anything is touched.
 *
 * @throws ERR_INVALID_OPTION naming the option; ERR_NOT_IMPLEMENTED for one that this version doesn't do
 */
export function settleOptions(options: PlainObject): ContainerSettings {
  refuseUnbuilt(options);
  const given = reader(options);
  const settings: ContainerSettings = {
    name: given('name', checkName),
    command: given('command', checkCommand),
    entrypoint: given('entrypoint', checkCommand),
    env: given('env', settleEnvironment) ?? {},
    workdir: given('workdir', checkAbsolute),
    user: given('user', checkUser),
    groupAdd: given('groupAdd', (option, value) => checkArray(option, value, checkGroup)) ?? [],
    hostname: given('hostname', checkHostname),
    terminal: given('tty', settleTerminal),
    openStdin: given('openStdin', checkBoolean) ?? false,
    ports: given('ports', (_option, value) => parsePorts(value)) ?? [],
    publishAll: given('publishAll', checkBoolean) ?? false,
    mounts: settleMounts(options['mounts'], options['tmpfs']),
    volumesFrom: given('volumesFrom', (option, value) => checkArray(option, value, settleVolumesFrom)) ?? [],
    files: given('files', (option, value) => checkArray(option, value, settleFile)) ?? [],
    network: settleNetwork(options['network'], options['aliases']),
    ...settleDns(options),
    extraHosts: given('extraHosts', settleExtraHosts) ?? {},
    hostPorts: given('hostPorts', settleHostPorts) ?? [],
    ...settleLimits(options),
    io: given('io', settleIo),
    oomScoreAdj: given('oomScoreAdj', (option, value) => checkInteger(option, value, -1000, 1000)),
    shmBytes: given('shmSize', parseSize) ?? defaultShmBytes,
    ulimits: given('ulimits', settleUlimits) ?? [],
    readOnly: given('readOnly', checkBoolean) ?? false,
    capAdd: given('capAdd', (option, value) => checkArray(option, value, checkCapability)) ?? [],
    capDrop: given('capDrop', (option, value) => checkArray(option, value, checkCapability)) ?? [],
    privileged: given('privileged', checkBoolean) ?? false,
    seccomp: given('seccomp', settleSeccomp),
    noNewPrivileges: given('noNewPrivileges', checkBoolean) ?? false,
    devices: given('devices', (option, value) => checkArray(option, value, settleDevice)) ?? [],
    sysctls: given('sysctls', (option, value) => checkRecord(option, value, checkSysctl)) ?? {},
    labels: given('labels', (option, value) => checkRecord(option, value, checkArgument)) ?? {},
    restart: given('restart', settleRestart),
    healthcheck: given('healthcheck', settleHealthcheck),
    stopSignal: given('stopSignal', checkSignalName),
    stopTimeoutMs: given('stopTimeoutMs', checkDuration) ?? defaultStopTimeoutMs,
    init: given('init', checkBoolean) ?? false,
    autoRemove: given('autoRemove', checkBoolean) ?? false,
    log: given('log', settleLog) ?? {},
    detached: given('detached', checkBoolean) ?? false,
  };
  checkTogether(settings);
  return settings;
}

// What the contract names and a later version brings. Better no container than one that lacks what was asked for.
function refuseUnbuilt({ pid, ipc }: PlainObject): void {
  if (pid !== undefined) {
    throw notImplemented('option pid', 'every container has a pid namespace of its own');
  }
  if (ipc !== undefined && ipc !== 'private') {
    throw notImplemented('option ipc', "every container has an ipc namespace of its own ('private')");
  }
}

type Check<T> = (option: string, value: unknown) => T;

function reader(options: PlainObject): <T>(name: string, check: Check<T>) => T | undefined {
  return (name, check) => (options[name] === undefined ? undefined : check(name, options[name]));
}

function checkTogether(settings: ContainerSettings): void {
  const { network, ports, publishAll, hostPorts, memoryBytes, memorySwapBytes, autoRemove, restart } = settings;
  if (autoRemove && restart) {
    throw invalidOption(
      'restart',
      restart.policy,
      'what removes itself at its end (autoRemove) cannot be started again',
    );
  }
  if (network.mode === 'container') {
    checkShared(settings);
  }
  if (network.mode !== 'bridge' && (ports.length > 0 || publishAll)) {
    throw invalidOption('ports', network.mode, 'only a network that is not `host` or `none` publishes ports');
  }
  if (network.mode === 'none' && hostPorts.length > 0) {
    throw invalidOption('hostPorts', network.mode, 'only a container that has a network reaches the host');
  }
  checkSwap(memoryBytes, memorySwapBytes);
}

/** As in Docker. What is part of the network is decided by whose network it is. */
function checkShared(settings: ContainerSettings): void {
  const { ports, publishAll, hostPorts, hostname, dns, dnsSearch, dnsOptions, extraHosts, sysctls } = settings;
  const given: Readonly<Record<string, unknown>> = {
    ports: ports.length > 0 || undefined,
    publishAll: publishAll || undefined,
    hostPorts: hostPorts.length > 0 ? hostPorts : undefined,
    hostname,
    dns: dns.length > 0 ? dns : undefined,
    dnsSearch,
    dnsOptions,
    extraHosts: Object.keys(extraHosts).length > 0 ? extraHosts : undefined,
    sysctls: Object.keys(sysctls).find((name) => name.startsWith('net.')),
  };
  const option = Object.keys(given).find((name) => given[name] !== undefined);
  if (option !== undefined) {
    throw invalidOption(option, given[option], 'belongs to the container whose network is shared: give it to that one');
  }
}

export function checkName(option: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(value)) {
    throw invalidOption(option, value, 'must match [a-zA-Z0-9][a-zA-Z0-9_.-]* and have at most 128 characters');
  }
  return value;
}

function checkCommand(option: string, value: unknown): string[] {
  // One string is one word, as in an exec-form entrypoint: a shell is asked for by name.
  return typeof value === 'string' ? [checkArgument(option, value)] : checkArray(option, value, checkArgument);
}

function settleEnvironment(option: string, value: unknown): Record<string, string> {
  return checkRecord(option, value, (name, text, key) => {
    if (key === '' || /[=\0\r\n]/.test(key)) {
      throw invalidOption(name, key, 'must be a variable name without "=" and newline');
    }
    return checkArgument(name, text);
  });
}

function checkAbsolute(option: string, value: unknown): string {
  return checkAbsolutePath(option, value, 'in the container');
}

function checkUser(option: string, value: unknown): string {
  const text = checkText(option, value);
  if (text.split(':').length > 2) {
    throw invalidOption(option, value, "must be 'user', 'uid', 'user:group' or 'uid:gid'");
  }
  return text;
}

function checkGroup(option: string, value: unknown): string {
  const text =
    typeof value === 'number' ? String(checkInteger(option, value, 0, 2147483647)) : checkText(option, value);
  if (text.includes(':')) {
    throw invalidOption(option, value, 'must be a group name or number');
  }
  return text;
}

function checkHostname(option: string, value: unknown): string {
  // Linux allows 64 bytes; the characters are those of a host name (RFC 1123) and the underscore that Docker users write.
  if (typeof value !== 'string' || !/^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}$/.test(value)) {
    throw invalidOption(option, value, 'must be a host name of at most 64 characters');
  }
  return value;
}

/** `true` and `{columns, rows}`; `false` is no terminal. */
export function settleTerminal(option: string, value: unknown): { columns: number; rows: number } | undefined {
  if (typeof value === 'boolean') {
    return value ? { columns: 80, rows: 24 } : undefined;
  }
  return checkTerminalSize(option, value);
}

export function checkTerminalSize(option: string, value: unknown): { columns: number; rows: number } {
  const { columns, rows } = checkOptions(option, value ?? null, ['columns', 'rows']);
  return {
    columns: checkInteger(`${option}.columns`, columns, 0, 65535),
    rows: checkInteger(`${option}.rows`, rows, 0, 65535),
  };
}

function settleFile(option: string, value: unknown): FileSetting {
  const known = ['path', 'content', 'source', 'mode', 'uid', 'gid'];
  const { path, content, source, mode, uid, gid } = checkOptions(option, value ?? null, known);
  if ((content === undefined) === (source === undefined)) {
    throw invalidOption(option, value, 'must have either content or source');
  }
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  if (bytes !== undefined && !ArrayBuffer.isView(bytes)) {
    throw invalidOption(`${option}.content`, content, 'must be a string or bytes');
  }
  const target = checkAbsolute(`${option}.path`, path);
  if (target.endsWith('/') || target.split('/').includes('..')) {
    throw invalidOption(`${option}.path`, path, "must be the path of a file, without '..'");
  }
  const id = (name: string, given: unknown): number =>
    given === undefined ? 0 : checkInteger(`${option}.${name}`, given, 0, 2147483647);
  return {
    path: target,
    ...(bytes === undefined ? { source: checkText(`${option}.source`, source) } : { content: bytes as Uint8Array }),
    mode: mode === undefined ? 0o644 : checkInteger(`${option}.mode`, mode, 0, 0o7777),
    uid: id('uid', uid),
    gid: id('gid', gid),
  };
}

function checkAddress(option: string, value: unknown): string {
  const text = checkText(option, value);
  if (isIP(text) === 0) {
    throw invalidOption(option, value, 'must be an IP address');
  }
  return text;
}

function settleExtraHosts(option: string, value: unknown): Record<string, string> {
  return checkRecord(option, value, (name, address, host) => {
    checkHostname(name, host);
    return address === 'host-gateway' ? address : checkAddress(name, address);
  });
}

function checkCapability(option: string, value: unknown): string {
  const name = typeof value === 'string' ? capabilityName(value) : undefined;
  if (!name) {
    throw invalidOption(option, value, "must be a capability like 'NET_ADMIN', or 'ALL'");
  }
  return name;
}

function settleDevice(option: string, value: unknown): DeviceSetting {
  const parts = typeof value === 'string' ? value.split(':') : undefined;
  const object = parts
    ? { source: parts[0], ...deviceParts(parts.slice(1)) }
    : checkOptions(option, value ?? null, ['source', 'target', 'permissions']);
  const source = checkAbsolute(`${option}.source`, object.source);
  const permissions = object.permissions ?? 'rwm';
  if ((parts && parts.length > 3) || typeof permissions !== 'string' || !/^[rwm]{1,3}$/.test(permissions)) {
    throw invalidOption(option, value, "must be like '/dev/fuse', '/dev/fuse:/dev/fuse:rwm'");
  }
  const target = object.target === undefined ? source : checkAbsolute(`${option}.target`, object.target);
  if (!target.startsWith('/dev/') || target.split('/').includes('..')) {
    throw invalidOption(option, value, 'must have a target below /dev');
  }
  return { source, target, permissions };
}

// '/dev/a:rw' and '/dev/a:/dev/b' both have two parts.
function deviceParts(rest: string[]): { target?: string; permissions?: string } {
  if (rest.length === 1) {
    return rest[0]?.startsWith('/') ? { target: rest[0] } : { permissions: rest[0] };
  }
  return { target: rest[0], permissions: rest[1] };
}

// Only what a namespace of the container has for itself: everything else is the host's (CVE-2022-0811).
const namespacedSysctl =
  /^(net\.[\w./-]+|fs\.mqueue\.\w+|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced|domainname))$/;

function checkSysctl(option: string, value: unknown, name: string): string {
  if (!namespacedSysctl.test(name) || name.includes('..')) {
    throw invalidOption(
      option,
      name,
      'must be a setting of a namespace: net.*, fs.mqueue.*, kernel.msg*, kernel.shm*, kernel.sem',
    );
  }
  return checkText(option, typeof value === 'number' ? String(value) : value);
}

function settleSeccomp(option: string, value: unknown): ContainerSettings['seccomp'] {
  return isPlainObject(value)
    ? settleSeccompProfile(option, value)
    : checkChoice<'default' | 'unconfined'>(option, value, ['default', 'unconfined']);
}

/** The number of a signal given by name or number. */
export function checkSignalName(option: string, value: unknown): number {
  const number = typeof value === 'string' ? signalNumber(value) : undefined;
  if (number === undefined) {
    throw invalidOption(option, value, "must be a signal like 'SIGTERM'");
  }
  return number;
}

function settleLog(option: string, value: unknown): { maxSize?: number; maxFiles?: number } {
  const { maxSize, maxFiles } = checkOptions(option, value, ['maxSize', 'maxFiles']);
  return {
    ...(maxSize === undefined ? {} : { maxSize: parseSize(`${option}.maxSize`, maxSize) }),
    ...(maxFiles === undefined ? {} : { maxFiles: checkInteger(`${option}.maxFiles`, maxFiles, 1, 1000) }),
  };
}
