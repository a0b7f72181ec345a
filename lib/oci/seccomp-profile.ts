import { checkArray, checkChoice, checkInteger, checkOptions, checkText, invalidOption } from '../util/checks';
import { capabilityName } from './capabilities';

/** A seccomp profile, checked: Docker's form (`includes`, `excludes`, `archMap`) or that of the OCI runtime specification. */
export interface SeccompProfile {
  defaultAction: SeccompAction;
  defaultErrno?: number;
  architectures: string[];
  /** By native architecture: what else its kernel runs. */
  archMap: { architecture: string; subArchitectures: string[] }[];
  rules: (SeccompRule & { includes: Conditions; excludes: Conditions })[];
}

export interface SeccompRule {
  names: string[];
  action: SeccompAction;
  errno?: number;
  args: SeccompArgument[];
}

export interface SeccompArgument {
  index: number;
  op: string;
  value: number;
  valueTwo: number;
}

interface Conditions {
  caps: string[];
  arches: string[];
  minKernel?: [number, number];
}

/** What is left of a profile on one host: the native side compiles it as it stands. */
export interface FlatProfile {
  defaultAction: SeccompAction;
  defaultErrno?: number;
  architectures: string[];
  rules: SeccompRule[];
}

const actions = [
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_LOG',
  'SCMP_ACT_TRACE',
  'SCMP_ACT_TRAP',
] as const;
export type SeccompAction = (typeof actions)[number];

const comparisons = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map((name) => `SCMP_CMP_${name}`);
const maxErrno = 4095;

/** @throws ERR_INVALID_OPTION naming the member */
export function settleSeccompProfile(option: string, value: unknown): SeccompProfile {
  const known = ['defaultAction', 'defaultErrnoRet', 'architectures', 'archMap', 'syscalls', 'flags'];
  const given = checkOptions(option, value, [...known, 'listenerPath', 'listenerMetadata']);
  if (given['listenerPath'] !== undefined || given['listenerMetadata'] !== undefined) {
    throw invalidOption(`${option}.listenerPath`, given['listenerPath'], 'a listener is not supported: leave it out');
  }
  checkFlags(`${option}.flags`, given['flags']);
  const errno = given['defaultErrnoRet'];
  return {
    defaultAction: checkAction(`${option}.defaultAction`, given['defaultAction']),
    ...(errno === undefined || errno === null
      ? {}
      : { defaultErrno: checkInteger(`${option}.defaultErrnoRet`, errno, 0, maxErrno) }),
    architectures: texts(`${option}.architectures`, given['architectures']),
    archMap: list(`${option}.archMap`, given['archMap'], (where, each) => {
      const { architecture, subArchitectures } = checkOptions(where, each, ['architecture', 'subArchitectures']);
      return {
        architecture: checkText(`${where}.architecture`, architecture),
        subArchitectures: texts(`${where}.subArchitectures`, subArchitectures),
      };
    }),
    rules: list(`${option}.syscalls`, given['syscalls'], settleRule),
  };
}

function settleRule(option: string, value: unknown): SeccompProfile['rules'][number] {
  const known = ['names', 'name', 'action', 'errnoRet', 'args', 'includes', 'excludes', 'comment'];
  const { names, name, action, errnoRet, args, includes, excludes } = checkOptions(option, value, known);
  if ((names === undefined) === (name === undefined)) {
    throw invalidOption(`${option}.names`, names, 'must be the calls that the rule is for');
  }
  return {
    names: name === undefined ? texts(`${option}.names`, names) : [checkText(`${option}.name`, name)],
    action: checkAction(`${option}.action`, action),
    ...(errnoRet === undefined || errnoRet === null
      ? {}
      : { errno: checkInteger(`${option}.errnoRet`, errnoRet, 0, maxErrno) }),
    args: list(`${option}.args`, args, settleArgument),
    includes: settleConditions(`${option}.includes`, includes),
    excludes: settleConditions(`${option}.excludes`, excludes),
  };
}

function settleArgument(option: string, value: unknown): SeccompArgument {
  const { index, op, value: first, valueTwo } = checkOptions(option, value, ['index', 'op', 'value', 'valueTwo']);
  const number = (name: string, each: unknown): number =>
    each === undefined || each === null ? 0 : checkInteger(`${option}.${name}`, each, 0, Number.MAX_SAFE_INTEGER);
  return {
    index: checkInteger(`${option}.index`, index, 0, 5),
    op: checkChoice(`${option}.op`, op, comparisons),
    value: number('value', first),
    valueTwo: number('valueTwo', valueTwo),
  };
}

function settleConditions(option: string, value: unknown): Conditions {
  if (value === undefined || value === null) {
    return { caps: [], arches: [] };
  }
  const { caps, arches, minKernel } = checkOptions(option, value, ['caps', 'arches', 'minKernel']);
  return {
    // A capability that this kernel does not know yet is one that nobody has.
    caps: texts(`${option}.caps`, caps).map((name) => capabilityName(name) ?? name),
    arches: texts(`${option}.arches`, arches),
    ...(minKernel === undefined || minKernel === null
      ? {}
      : { minKernel: checkKernel(`${option}.minKernel`, minKernel) }),
  };
}

function checkAction(option: string, value: unknown): SeccompAction {
  if (value === 'SCMP_ACT_NOTIFY') {
    throw invalidOption(option, value, 'a call that somebody else answers is not supported');
  }
  return checkChoice(option, value, actions);
}

// Both hold in any case: the program has one thread when it is confined.
function checkFlags(option: string, value: unknown): void {
  const fine = ['SECCOMP_FILTER_FLAG_SPEC_ALLOW', 'SECCOMP_FILTER_FLAG_TSYNC'];
  texts(option, value).forEach((flag) => checkChoice(option, flag, fine));
}

function checkKernel(option: string, value: unknown): [number, number] {
  const [, major, minor] = /^(\d+)\.(\d+)$/.exec(checkText(option, value)) ?? [];
  if (major === undefined) {
    throw invalidOption(option, value, "must be a version like '4.8'");
  }
  return [Number(major), Number(minor)];
}

function texts(option: string, value: unknown): string[] {
  return list(option, value, (where, each) => checkText(where, each));
}

/** Go writes an empty list as null. */
function list<T>(option: string, value: unknown, each: (option: string, value: unknown) => T): T[] {
  return value === undefined || value === null ? [] : checkArray(option, value, each);
}

/** The machine's architecture in the words of Go, which Docker's conditions use, and of libseccomp. */
const architectureNames: Readonly<Record<string, { go: string; scmp: string }>> = {
  x64: { go: 'amd64', scmp: 'SCMP_ARCH_X86_64' },
  arm64: { go: 'arm64', scmp: 'SCMP_ARCH_AARCH64' },
};

/** What the profile says for a process with these capabilities on this machine, as moby and runc read it. Pure. */
export function flattenProfile(
  profile: SeccompProfile,
  host: { capabilities: readonly string[]; arch: string; kernel: string },
): FlatProfile {
  const { go, scmp } = architectureNames[host.arch] ?? { go: host.arch, scmp: host.arch };
  const mapped = profile.archMap.find(({ architecture }) => architecture === scmp);
  const kernel = /^(\d+)\.(\d+)/.exec(host.kernel)?.slice(1).map(Number) ?? [0, 0];
  const isOld = ([major, minor]: [number, number]): boolean =>
    kernel[0]! < major || (kernel[0] === major && kernel[1]! < minor);
  const has = (name: string): boolean => host.capabilities.includes(name);
  const holds = ({ includes, excludes }: SeccompProfile['rules'][number]): boolean =>
    includes.caps.every(has) &&
    !excludes.caps.some(has) &&
    (includes.arches.length === 0 || includes.arches.includes(go)) &&
    !excludes.arches.includes(go) &&
    !(includes.minKernel && isOld(includes.minKernel)) &&
    !(excludes.minKernel && !isOld(excludes.minKernel));
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrno === undefined ? {} : { defaultErrno: profile.defaultErrno }),
    architectures: mapped ? [scmp, ...mapped.subArchitectures] : profile.architectures,
    rules: profile.rules.filter(holds).map(({ includes: _includes, excludes: _excludes, ...rule }) => rule),
  };
}
