import { posix } from 'node:path';

import { DinghyError } from '../errors';
import { checkArray, checkArgument } from '../util/checks';
import { parseDuration } from '../util/duration';
import type { FullImageConfig } from './compose';
import { settleImageConfig } from './config-option';
import type { ImageHealthcheck } from './image-config';
import { expandText, splitWords, WordsError } from './words';

type Draft = { -readonly [Name in keyof FullImageConfig]: FullImageConfig[Name] };

/** One instruction at work. */
interface Step {
  draft: Draft;
  /** What stands behind its name. */
  rest: string;
  /** Variables are those of before the instruction. */
  words: () => string[];
  /** A command was given before the entrypoint, which then leaves it. */
  hasCommand: boolean;
}

const option = 'changes';
const defaultShell = ['/bin/sh', '-c'];

/**
 * The configuration with these Dockerfile instructions (`ENV A=b`, `CMD ["run"]`) applied, one after the other, as `docker commit
 * --change` does it: `$NAME` is a variable of the image, a relative WORKDIR is below the one before, and a new entrypoint takes the
 * old command away.
 * @throws ERR_INVALID_OPTION naming the instruction
 */
export function applyChanges(config: FullImageConfig, instructions: readonly string[]): FullImageConfig {
  const draft: Draft = { ...config };
  let hasCommand = false;
  for (const text of instructions) {
    const [, name = '', rest = ''] = /^\s*(\S+)\s*(.*?)\s*$/s.exec(text) ?? [];
    const key = name.toUpperCase();
    const apply = Object.hasOwn(appliers, key) ? appliers[key] : undefined;
    try {
      if (!apply) {
        throw new WordsError(`the instruction must be one of ${Object.keys(appliers).join(' ')}`);
      }
      if (rest === '') {
        throw new WordsError(`${key} needs a value`);
      }
      apply({ draft, rest, hasCommand, words: () => splitWords(rest, draft.env ?? {}) });
    } catch (error) {
      throw error instanceof WordsError ? refused(text, error.message) : error;
    }
    hasCommand ||= key === 'CMD';
  }
  return draft;
}

/** The option `changes`: an array of instructions, each of which can be read. @throws ERR_INVALID_OPTION */
export function settleChanges(value: unknown): string[] {
  const instructions = value === undefined ? [] : checkArray(option, value, checkArgument);
  applyChanges({}, instructions);
  return instructions;
}

function refused(instruction: string, why: string): DinghyError {
  const shown = JSON.stringify(instruction.length > 200 ? `${instruction.slice(0, 200)}…` : instruction);
  return new DinghyError({
    code: 'ERR_INVALID_OPTION',
    message: `option ${option}: ${shown}: ${why}`,
    details: { option, instruction },
  });
}

const appliers: Readonly<Record<string, (step: Step) => void>> = {
  CMD: ({ draft, rest }) => (draft.command = program(rest, draft)),
  ENTRYPOINT: ({ draft, rest, hasCommand }) => {
    draft.entrypoint = program(rest, draft);
    if (!hasCommand) {
      draft.command = [];
    }
  },
  ENV: ({ draft, rest, words }) => (draft.env = { ...draft.env, ...pairs(rest, words(), draft.env ?? {}) }),
  EXPOSE: ({ draft, words }) => (draft.ports = union(draft.ports, words().flatMap(portRange))),
  LABEL: ({ draft, rest, words }) => (draft.labels = { ...draft.labels, ...pairs(rest, words(), draft.env ?? {}) }),
  ONBUILD: ({ draft, rest }) => (draft.onBuild = [...(draft.onBuild ?? []), trigger(rest)]),
  USER: ({ draft, rest }) => (draft.user = expandText(rest, draft.env ?? {})),
  VOLUME: ({ draft, rest, words }) => {
    const volumes = settle('volumes', jsonArray(rest)?.map((each) => expandText(each, draft.env ?? {})) ?? words());
    draft.volumes = union(draft.volumes, volumes);
  },
  WORKDIR: ({ draft, rest }) => {
    draft.workdir = settle('workdir', posix.resolve(draft.workdir || '/', expandText(rest, draft.env ?? {})));
  },
  STOPSIGNAL: ({ draft, rest }) => (draft.stopSignal = settle('stopSignal', expandText(rest, draft.env ?? {}))),
  HEALTHCHECK: ({ draft, rest }) => (draft.healthcheck = settle('healthcheck', healthcheck(rest))),
};

/** A value by the rules of the option `config`; what is wrong there is wrong with the instruction. */
function settle<Name extends keyof FullImageConfig>(name: Name, value: FullImageConfig[Name]): FullImageConfig[Name] {
  try {
    return (settleImageConfig({ [name]: value }) as FullImageConfig)[name];
  } catch (error) {
    throw new WordsError((error as Error).message.replace(/^option config\.[^:]*: /, ''));
  }
}

function union(first: readonly string[] = [], second: readonly string[] = []): string[] {
  return [...new Set([...first, ...second])];
}

/** `["run", "it"]` is that; anything else is for a shell. */
function program(text: string, { shell = defaultShell }: Draft): string[] {
  return jsonArray(text) ?? [...shell, text];
}

function jsonArray(text: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}

/** `A=b "C=d e"`, or the old form of a single one, `A b`. */
function pairs(
  text: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Record<string, string> {
  if (!words[0]?.includes('=')) {
    const [, name, value] = /^(\S+)\s+(.+)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined) {
      throw new WordsError(`${text} has no value: NAME=value is expected`);
    }
    return { [name]: expandText(value, environment) };
  }
  return Object.fromEntries(
    words.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) {
        throw new WordsError(`${JSON.stringify(pair)} is not NAME=value`);
      }
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

/** `80`, `53/udp`, `8000-8005/tcp`. */
function portRange(text: string): string[] {
  const [, first, last, protocol = 'tcp'] = /^(\d+)(?:-(\d+))?(?:\/([a-z]+))?$/i.exec(text) ?? [];
  const count = Number(last ?? first) - Number(first) + 1;
  if (first === undefined || !(count >= 1 && count <= 65535)) {
    throw new WordsError(`${JSON.stringify(text)} is no port`);
  }
  const ports = Array.from({ length: count }, (_value, at) => `${Number(first) + at}/${protocol.toLowerCase()}`);
  return [...(settle('ports', ports) ?? [])];
}

function trigger(text: string): string {
  const name = /^\S+/.exec(text)![0].toUpperCase();
  if (['ONBUILD', 'FROM', 'MAINTAINER'].includes(name)) {
    throw new WordsError(`${name} can't be a trigger of ONBUILD`);
  }
  return text;
}

function healthcheck(text: string): ImageHealthcheck {
  if (/^none$/i.test(text)) {
    return { test: ['NONE'] };
  }
  const times: { -readonly [Name in keyof ImageHealthcheck]?: ImageHealthcheck[Name] } = {};
  let rest = text;
  for (let flag; (flag = /^--([a-z-]+)=(\S+)\s+/.exec(rest)); rest = rest.slice(flag[0].length)) {
    const [, name = '', value = ''] = flag;
    const ms = parseDuration(value);
    const key = Object.hasOwn(healthTimes, name) ? healthTimes[name] : undefined;
    if (key && ms !== undefined) {
      times[key] = ms;
    } else if (name === 'retries' && /^\d+$/.test(value)) {
      times.retries = Number(value);
    } else {
      throw new WordsError(`--${name}=${value} is not known`);
    }
  }
  const [, command] = /^CMD\s+(.+)$/is.exec(rest) ?? [];
  if (command === undefined) {
    throw new WordsError('HEALTHCHECK takes NONE or CMD');
  }
  const argv = jsonArray(command);
  return { test: argv ? ['CMD', ...argv] : ['CMD-SHELL', command], ...times };
}

const healthTimes: Readonly<Record<string, 'intervalMs' | 'timeoutMs' | 'startPeriodMs' | 'startIntervalMs'>> = {
  interval: 'intervalMs',
  timeout: 'timeoutMs',
  'start-period': 'startPeriodMs',
  'start-interval': 'startIntervalMs',
};
