import { readFileSync } from 'node:fs';

import type {
  CreateOptions,
  MountOption,
  NetworkAttachment,
  PortOption,
  RestartOption,
  UlimitOption,
  UpdateOptions,
} from '../index';
import { parseDuration } from '../util/duration';
import { UsageError } from './context';
import { parseTime } from './format';

/** A number, or undefined when the flag was not given. @throws UsageError */
export function number(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new UsageError(`${flag} takes a number, not "${text}"`);
  return value;
}

/** A moment, or undefined when the flag was not given. @throws UsageError */
export function time(text: string | undefined, flag: string, now: Date): Date | undefined {
  if (text === undefined) return undefined;
  const value = parseTime(text, now);
  if (!value)
    throw new UsageError(
      `${flag} takes a time (2026-01-31T12:00:00Z), a Unix time, or a duration (42m), not "${text}"`,
    );
  return value;
}

/** For a flag that may be given several times. */
export function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

/** `true` and `false`, as Docker's flags take them after an equals sign. @throws UsageError */
export function boolean(text: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  throw new UsageError(`takes true or false, not "${text}"`);
}

/** Milliseconds of `1m30s`, or undefined when the flag was not given. @throws UsageError */
export function durationMs(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  const value = parseDuration(text);
  if (value === undefined) throw new UsageError(`${flag} takes a duration such as 30s or 1m30s, not "${text}"`);
  return value;
}

/** The lines of an --env-file or --label-file: comments and empty ones left out, nothing unquoted, as in Docker. */
export function fileLines(paths: readonly string[] | undefined, flag: string): string[] {
  return (paths ?? []).flatMap((path) => {
    try {
      return readFileSync(path, 'utf8')
        .split(/\r?\n/)
        .map((line) => line.trimStart())
        .filter((line) => line !== '' && !line.startsWith('#'));
    } catch (error) {
      throw new UsageError(`${flag}: ${(error as Error).message}`);
    }
  });
}

/** `NAME=value` pairs, later ones winning; a bare name takes its value from `environment` and is left out when unset there. */
export function keyValues(
  pairs: readonly string[],
  environment?: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const found = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at === 0) throw new UsageError(`"${pair}" has no name before its =`);
    const value = at > 0 ? pair.slice(at + 1) : environment === undefined ? '' : environment[pair];
    if (value !== undefined) found.set(at > 0 ? pair.slice(0, at) : pair, value);
  }
  return Object.fromEntries(found);
}

/** A published port. One without a host port or address is an ephemeral one on every address, as in Docker. */
export function portOption(text: string): string | PortOption {
  const bare = /^(\d+)(?:\/(tcp|udp))?$/.exec(text);
  if (!bare) return text;
  return { containerPort: Number(bare[1]), protocol: (bare[2] as 'tcp' | 'udp' | undefined) ?? 'tcp' };
}

/** The flags of limits, which `run`, `create` and `update` have. */
export interface LimitFlags {
  cpuShares?: string;
  cpus?: string;
  cpusetCpus?: string;
  memory?: string;
  memoryReservation?: string;
  memorySwap?: string;
  pidsLimit?: string;
}

/** @throws UsageError for what is no number */
export function limitOptions(flags: LimitFlags): UpdateOptions {
  return {
    memory: flags.memory,
    memoryReservation: flags.memoryReservation,
    memorySwap: flags.memorySwap === '-1' ? -1 : flags.memorySwap,
    cpus: number(flags.cpus, '--cpus'),
    cpuShares: number(flags.cpuShares, '--cpu-shares'),
    cpuset: flags.cpusetCpus,
    pids: number(flags.pidsLimit, '--pids-limit'),
  };
}

/** A flag in a list: given alone it holds. */
function isYes(value: string): boolean {
  return value === '' || value === 'true' || value === '1';
}

/** `type=bind,source=/a,target=/b,readonly`. @throws UsageError */
export function mountOption(text: string): MountOption {
  const mount: Partial<MountOption> & { type: MountOption['type'] } = { type: 'volume' };
  for (const field of text.split(',')) {
    const [name, ...rest] = field.split('=');
    const value = rest.join('=');
    switch (name) {
      case 'type':
        if (value !== 'bind' && value !== 'volume' && value !== 'tmpfs') {
          throw new UsageError(`--mount: type is bind, volume or tmpfs, not "${value}"`);
        }
        mount.type = value;
        break;
      case 'source':
      case 'src':
        mount.source = value;
        break;
      case 'target':
      case 'destination':
      case 'dst':
        mount.target = value;
        break;
      case 'readonly':
      case 'ro':
        mount.readOnly = isYes(value);
        break;
      case 'bind-recursive':
        mount.recursive = value as MountOption['recursive'];
        break;
      case 'volume-subpath':
        mount.subpath = value;
        break;
      case 'volume-nocopy':
        mount.noCopy = isYes(value);
        break;
      case 'bind-propagation':
        mount.propagation = value as MountOption['propagation'];
        break;
      case 'tmpfs-size':
        mount.size = value;
        break;
      case 'tmpfs-mode':
        mount.mode = Number.parseInt(value, 8);
        break;
      default:
        throw new UsageError(`--mount: "${field}" is not known`);
    }
  }
  if (mount.target === undefined) throw new UsageError(`--mount: "${text}" has no target`);
  return mount as MountOption;
}

/** `on-failure:5`. @throws UsageError */
export function restartOption(text: string): RestartOption {
  const [, policy, retries] = /^(no|always|unless-stopped|on-failure)(?::(\d+))?$/.exec(text) ?? [];
  if (policy === undefined || (retries !== undefined && policy !== 'on-failure')) {
    throw new UsageError(`--restart takes no, always, unless-stopped or on-failure[:retries], not "${text}"`);
  }
  return {
    policy: policy as RestartOption['policy'],
    ...(retries === undefined ? {} : { maxRetries: Number(retries) }),
  };
}

/** `nofile=1024:2048`. @throws UsageError */
export function ulimits(values: readonly string[] | undefined): CreateOptions['ulimits'] {
  if (!values) return undefined;
  const found: Record<string, UlimitOption> = {};
  for (const value of values) {
    const [, name, soft, hard] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(value) ?? [];
    if (name === undefined || soft === undefined)
      throw new UsageError(`--ulimit takes name=soft[:hard], not "${value}"`);
    found[name] = { soft: Number(soft), hard: Number(hard ?? soft) };
  }
  return found;
}

/** `--network` and `--ip`: a name, or several of `name=NETWORK,alias=NAME,ip=ADDRESS`. @throws UsageError */
export function networkOption(values: readonly string[], ip: string | undefined): CreateOptions['network'] {
  const given = values.map((text) => (text.includes('=') ? attachment(text) : ([text, {}] as const)));
  const [first, ...more] = given;
  if (ip !== undefined && (!first || more.length > 0)) {
    throw new UsageError('--ip goes with one --network');
  }
  if (!first || (more.length === 0 && ip === undefined && Object.keys(first[1]).length === 0)) {
    return first?.[0];
  }
  const all = ip === undefined ? given : [[first[0], { ...first[1], address: ip }] as const];
  const names = all.map(([name]) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new UsageError(`--network names ${twice} twice`);
  return Object.fromEntries(all);
}

function attachment(text: string): readonly [string, NetworkAttachment] {
  let name: string | undefined;
  const options: NetworkAttachment = {};
  for (const part of text.split(',')) {
    const [key, value = ''] = part.split('=', 2);
    if (key === 'name') name = value;
    else if (key === 'alias') options.aliases = [...(options.aliases ?? []), value];
    else if (key === 'ip') options.address = value;
    else throw new UsageError(`--network takes name=, alias= and ip=, not "${part}"`);
  }
  if (!name) throw new UsageError(`--network needs a name= in "${text}"`);
  return [name, options];
}
