import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import type { Command } from 'commander';
import type { CreateOptions } from '../index';
import { UsageError } from './context';
import { collect } from './filters';
import {
  durationMs,
  fileLines,
  keyValues,
  type LimitFlags,
  limitOptions,
  mountOption,
  networkOption,
  number,
  portOption,
  restartOption,
  ulimits,
} from './flag-values';
import { declareIoFlags, type IoFlags, ioOption } from './io-flags';

/** The flags of `run` and `create`, as commander gives them. */
export interface CreateFlags extends LimitFlags, IoFlags {
  addHost?: string[];
  capAdd?: string[];
  capDrop?: string[];
  cidfile?: string;
  device?: string[];
  dns?: string[];
  dnsOption?: string[];
  dnsSearch?: string[];
  entrypoint?: string;
  env?: string[];
  envFile?: string[];
  groupAdd?: string[];
  healthCmd?: string;
  healthInterval?: string;
  healthRetries?: string;
  healthStartInterval?: string;
  healthStartPeriod?: string;
  healthTimeout?: string;
  /** False by `--no-healthcheck`. */
  healthcheck?: boolean;
  hostname?: string;
  hostPort?: string[];
  init?: boolean;
  interactive?: boolean;
  ipc?: string;
  label?: string[];
  labelFile?: string[];
  logOpt?: string[];
  mount?: string[];
  name?: string;
  ip?: string;
  network?: string[];
  networkAlias?: string[];
  oomScoreAdj?: string;
  pid?: string;
  platform?: string;
  privileged?: boolean;
  publish?: string[];
  publishAll?: boolean;
  pull?: string;
  quiet?: boolean;
  readOnly?: boolean;
  restart?: string;
  rm?: boolean;
  securityOpt?: string[];
  shmSize?: string;
  stopSignal?: string;
  stopTimeout?: string;
  sysctl?: string[];
  tmpfs?: string[];
  tty?: boolean;
  ulimit?: string[];
  user?: string;
  volume?: string[];
  volumesFrom?: string[];
  workdir?: string;
}

/** Declares what `run` and `create` share: Docker's flags with Docker's letters (so -h is the host name). */
export function declareCreateFlags(command: Command): Command {
  return declareIoFlags(command)
    .helpOption('--help', 'show this help')
    .option('--add-host <host:ip>', 'add a line to /etc/hosts', collect)
    .option('--cap-add <capability>', 'add a capability', collect)
    .option('--cap-drop <capability>', 'drop a capability', collect)
    .option('--cidfile <file>', 'write the container id to this file')
    .option('-c, --cpu-shares <shares>', 'relative weight of CPU time')
    .option('--cpus <number>', 'number of CPUs')
    .option('--cpuset-cpus <list>', 'CPUs it may run on (0-3, 0,1)')
    .option('--device <device>', 'give it a host device', collect)
    .option('--dns <address>', 'name server', collect)
    .option('--dns-option <option>', 'an option of resolv.conf (ndots:1)', collect)
    .option('--dns-search <domain>', "domain in which names are looked up; '.' for none", collect)
    .option('--entrypoint <program>', "instead of the image's entrypoint; '' for none")
    .option('-e, --env <name=value>', 'set an environment variable; without a value, pass it on', collect)
    .option('--env-file <file>', 'read environment variables from a file', collect)
    .option('--group-add <group>', 'add a group', collect)
    .option('--health-cmd <command>', 'command that checks its health')
    .option('--health-interval <duration>', 'time between checks')
    .option('--health-retries <number>', 'failures in a row that make it unhealthy')
    .option('--health-start-interval <duration>', 'time between checks within the start period')
    .option('--health-start-period <duration>', 'time in which failures do not count')
    .option('--health-timeout <duration>', 'time one check may take')
    .option('--no-healthcheck', "switch the image's health check off")
    .option('-h, --hostname <name>', 'host name')
    .option('--host-port <port>', "a port of the host's 127.0.0.1 that it reaches at host.dinghy.internal", collect)
    .option('--init', 'run a small init that forwards signals and reaps')
    .option('-i, --interactive', 'keep stdin open')
    .option('--ipc <mode>', 'IPC namespace')
    .option('-l, --label <name=value>', 'set a label', collect)
    .option('--label-file <file>', 'read labels from a file', collect)
    .option('--log-opt <name=value>', 'max-size, max-file', collect)
    .option('-m, --memory <size>', 'memory limit (512m)')
    .option('--memory-reservation <size>', 'soft memory limit')
    .option('--memory-swap <size>', 'memory and swap together; -1 for no limit')
    .option('--mount <options>', 'type=bind|volume|tmpfs,source=…,target=…[,readonly]', collect)
    .option('--name <name>', 'name of the container')
    .option('--ip <address>', 'its address on its network')
    .option(
      '--network <network>',
      'bridge, none, host, container:<name>, or a network, also several: name=…,alias=…,ip=…',
      collect,
    )
    .option('--net <network>', 'the same as --network', collect)
    .option('--network-alias <name>', 'one more name on its network', collect)
    .option('--oom-score-adj <number>', 'preference of the OOM killer (-1000 to 1000)')
    .option('--pid <mode>', 'PID namespace')
    .option('--pids-limit <number>', 'most processes; -1 for no limit')
    .option('--platform <platform>', 'os/arch[/variant] of the image')
    .option('--privileged', 'give it every capability and device')
    .option('-p, --publish <ports>', 'publish a port: [address:][host port:]container port[/protocol]', collect)
    .option('-P, --publish-all', 'publish every port the image exposes')
    .option('--pull <policy>', 'pull the image: always, missing, never', 'missing')
    .option('-q, --quiet', 'no pull progress')
    .option('--read-only', 'mount its root read-only')
    .option('--restart <policy>', 'no, always, unless-stopped, on-failure[:retries]')
    .option('--rm', 'remove it when it exits')
    .option('--security-opt <option>', 'seccomp=<profile|unconfined>, no-new-privileges', collect)
    .option('--shm-size <size>', 'size of /dev/shm')
    .option('--stop-signal <signal>', 'signal that stops it')
    .option('--stop-timeout <seconds>', 'seconds before it is killed')
    .option('--sysctl <name=value>', 'set a kernel parameter', collect)
    .option('--tmpfs <path[:options]>', 'mount a tmpfs', collect)
    .option('-t, --tty', 'allocate a terminal')
    .option('--ulimit <name=soft[:hard]>', 'set a resource limit', collect)
    .option('-u, --user <user>', 'user[:group], names or numbers')
    .option('-v, --volume <mount>', 'mount: host path or volume name:path[:ro]', collect)
    .option('--volumes-from <container>', 'mount the volumes of another container', collect)
    .option('-w, --workdir <folder>', 'working directory');
}

/** The library's options for what was typed. @throws UsageError naming the flag that makes no sense. */
export function createOptions(
  flags: CreateFlags & { net?: string[] },
  command: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): CreateOptions {
  const env = keyValues([...fileLines(flags.envFile, '--env-file'), ...(flags.env ?? [])], environment);
  const labels = keyValues([...fileLines(flags.labelFile, '--label-file'), ...(flags.label ?? [])]);
  const options: CreateOptions = {
    name: flags.name,
    command: command.length > 0 ? [...command] : undefined,
    // Docker's way to say "none": the image's entrypoint is dropped, the command stands alone.
    entrypoint: flags.entrypoint === undefined ? undefined : flags.entrypoint === '' ? [] : [flags.entrypoint],
    env,
    workdir: flags.workdir,
    user: flags.user,
    groupAdd: flags.groupAdd,
    hostname: flags.hostname,
    hostPorts: flags.hostPort?.map((port) => number(port, '--host-port') ?? 0),
    openStdin: flags.interactive,
    tty: flags.tty,
    ports: flags.publish?.map(portOption),
    publishAll: flags.publishAll,
    mounts: mounts(flags),
    tmpfs: tmpfs(flags.tmpfs),
    volumesFrom: flags.volumesFrom,
    network: networkOption([...(flags.network ?? []), ...(flags.net ?? [])], flags.ip),
    aliases: flags.networkAlias,
    dns: flags.dns,
    dnsSearch: flags.dnsSearch,
    dnsOptions: flags.dnsOption,
    extraHosts: extraHosts(flags.addHost),
    pid: flags.pid,
    ipc: flags.ipc,
    ...limitOptions(flags),
    io: ioOption(flags),
    oomScoreAdj: number(flags.oomScoreAdj, '--oom-score-adj'),
    shmSize: flags.shmSize,
    ulimits: ulimits(flags.ulimit),
    readOnly: flags.readOnly,
    capAdd: flags.capAdd,
    capDrop: flags.capDrop,
    privileged: flags.privileged,
    ...securityOptions(flags.securityOpt),
    devices: flags.device,
    sysctls: flags.sysctl && keyValues(flags.sysctl),
    labels,
    restart: flags.restart === undefined ? undefined : restartOption(flags.restart),
    healthcheck: healthcheck(flags),
    stopSignal: flags.stopSignal,
    stopTimeoutMs:
      flags.stopTimeout === undefined ? undefined : (number(flags.stopTimeout, '--stop-timeout') ?? 0) * 1000,
    init: flags.init,
    autoRemove: flags.rm,
    log: logOption(flags.logOpt),
    platform: flags.platform,
    pull: pullPolicy(flags.pull),
    detached: true,
  };
  // An option that was not given is absent, not undefined: the library refuses combinations by what is there.
  const given = Object.entries(options).filter(([, value]) => value !== undefined && !isEmpty(value));
  return Object.fromEntries(given);
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
}

function mounts(flags: CreateFlags): CreateOptions['mounts'] {
  // Docker resolves a path that starts with a dot against the working directory; anything else without a slash is a name.
  const volumes = (flags.volume ?? []).map((text) => {
    const [source, ...rest] = text.split(':');
    return source !== undefined && /^\.{1,2}(\/|$)/.test(source) ? [resolve(source), ...rest].join(':') : text;
  });
  const all = [...volumes, ...(flags.mount ?? []).map(mountOption)];
  return all.length > 0 ? all : undefined;
}

function tmpfs(values: readonly string[] | undefined): Record<string, string> | undefined {
  return values && Object.fromEntries(values.map((value) => splitAt(value, ':')));
}

function extraHosts(values: readonly string[] | undefined): Record<string, string> | undefined {
  return (
    values &&
    Object.fromEntries(
      values.map((value) => {
        const [name, address] = splitAt(value, ':');
        if (name === '' || address === '') throw new UsageError(`--add-host takes host:address, not "${value}"`);
        return [name, address];
      }),
    )
  );
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function securityOptions(values: readonly string[] = []): Pick<CreateOptions, 'seccomp' | 'noNewPrivileges'> {
  const found: Pick<CreateOptions, 'seccomp' | 'noNewPrivileges'> = {};
  for (const value of values) {
    const [name, setting] = splitAt(value.replace(':', '='), '=');
    if (name === 'no-new-privileges') found.noNewPrivileges = setting !== 'false';
    else if (name === 'seccomp' && ['unconfined', 'default'].includes(setting)) found.seccomp = setting;
    else if (name === 'seccomp') found.seccomp = readProfile(setting);
    else throw new UsageError(`--security-opt ${value}: only seccomp and no-new-privileges are known`);
  }
  return found;
}

function readProfile(path: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    throw new UsageError(`--security-opt seccomp=${path}: ${(error as Error).message}`);
  }
}

function healthcheck(flags: CreateFlags): CreateOptions['healthcheck'] {
  const given = {
    test: flags.healthCmd,
    intervalMs: durationMs(flags.healthInterval, '--health-interval'),
    timeoutMs: durationMs(flags.healthTimeout, '--health-timeout'),
    startPeriodMs: durationMs(flags.healthStartPeriod, '--health-start-period'),
    startIntervalMs: durationMs(flags.healthStartInterval, '--health-start-interval'),
    retries: number(flags.healthRetries, '--health-retries'),
  };
  // What is absent is the image's: an undefined would stand for a given one.
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  if (flags.healthcheck !== false) return entries.length > 0 ? Object.fromEntries(entries) : undefined;
  if (entries.length > 0) throw new UsageError('--no-healthcheck conflicts with --health-* options');
  return { test: 'none' };
}

function logOption(values: readonly string[] = []): CreateOptions['log'] {
  const log: NonNullable<CreateOptions['log']> = {};
  for (const value of values) {
    const [name, setting] = splitAt(value, '=');
    if (name === 'max-size') log.maxSize = setting;
    else if (name === 'max-file') log.maxFiles = number(setting, '--log-opt max-file');
    else throw new UsageError(`--log-opt ${value}: only max-size and max-file are known`);
  }
  return log;
}

function pullPolicy(text: string | undefined): CreateOptions['pull'] {
  if (text === undefined || text === 'missing' || text === 'always' || text === 'never') return text;
  throw new UsageError(`--pull takes always, missing or never, not "${text}"`);
}
