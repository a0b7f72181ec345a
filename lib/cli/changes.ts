import { posix } from 'node:path';

import type { ImageConfig } from '../index';
import { UsageError } from './context';
import { parseDuration } from './format';

type Changes = Partial<ImageConfig>;

/**
 * What Dockerfile instructions (`ENV A=b`, `CMD ["run"]`) say of an image. Later ones win. Variables in them are not expanded.
 * @throws UsageError
 */
export function imageChanges(instructions: readonly string[]): Changes {
  const changes: Changes = {};
  for (const text of instructions) {
    const [, name = '', rest = ''] = /^\s*(\S+)\s*(.*?)\s*$/s.exec(text) ?? [];
    const apply = Object.hasOwn(appliers, name.toUpperCase()) ? appliers[name.toUpperCase()] : undefined;
    if (!apply) {
      throw new UsageError(`-c: ${name || 'an empty instruction'} is not one of ${Object.keys(appliers).join(' ')}`);
    }
    if (rest === '') throw new UsageError(`-c: ${name} says nothing`);
    apply(changes, rest, text);
  }
  return changes;
}

const appliers: Readonly<Record<string, (changes: Changes, rest: string, text: string) => void>> = {
  CMD: (changes, rest) => (changes.command = program(rest)),
  ENTRYPOINT: (changes, rest) => (changes.entrypoint = program(rest)),
  ENV: (changes, rest, text) => (changes.env = { ...changes.env, ...pairs(rest, text) }),
  LABEL: (changes, rest, text) => (changes.labels = { ...changes.labels, ...pairs(rest, text) }),
  EXPOSE: (changes, rest) => (changes.ports = [...(changes.ports ?? []), ...words(rest).flatMap(portRange)]),
  VOLUME: (changes, rest) => (changes.volumes = [...(changes.volumes ?? []), ...(jsonArray(rest) ?? words(rest))]),
  USER: (changes, rest) => (changes.user = rest),
  WORKDIR: (changes, rest) => (changes.workdir = posix.resolve(changes.workdir ?? '/', rest)),
  STOPSIGNAL: (changes, rest) => (changes.stopSignal = rest),
  HEALTHCHECK: (changes, rest, text) => (changes.healthcheck = healthcheck(rest, text)),
};

/** `["run", "it"]` is that; anything else is for a shell. */
function program(text: string): string[] {
  return jsonArray(text) ?? ['/bin/sh', '-c', text];
}

function jsonArray(text: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Split at spaces that are neither quoted nor behind a backslash; quotes and backslashes are taken off. */
function words(text: string): string[] {
  const found = text.matchAll(/(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+/gs);
  return [...found].map(([word]) =>
    word.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/gs, (_all, double?: string, single?: string, other?: string) =>
      double === undefined ? (single ?? other ?? '') : double.replace(/\\(["\\$])/g, '$1'),
    ),
  );
}

/** `A=b "C=d e"`, or the old form of a single one, `A b`. */
function pairs(text: string, instruction: string): Record<string, string> {
  const all = words(text);
  if (!all[0]?.includes('=')) {
    const [, name, value] = /^(\S+)\s+(.+)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined) throw new UsageError(`-c: "${instruction}" has no value`);
    return { [name]: value };
  }
  return Object.fromEntries(
    all.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError(`-c: "${instruction}": "${pair}" is not NAME=value`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

/** `80`, `53/udp`, `8000-8005/tcp`. */
function portRange(text: string): string[] {
  const [, first, last, protocol = 'tcp'] = /^(\d+)(?:-(\d+))?(?:\/([a-z]+))?$/i.exec(text) ?? [];
  const count = Number(last ?? first) - Number(first) + 1;
  if (first === undefined || !(count >= 1 && count <= 65535)) throw new UsageError(`-c: EXPOSE: "${text}" is no port`);
  return Array.from({ length: count }, (_value, index) => `${Number(first) + index}/${protocol.toLowerCase()}`);
}

function healthcheck(text: string, instruction: string): NonNullable<ImageConfig['healthcheck']> {
  if (/^none$/i.test(text)) return { test: ['NONE'] };
  const times: Partial<NonNullable<ImageConfig['healthcheck']>> = {};
  let rest = text;
  for (let flag; (flag = /^--([a-z-]+)=(\S+)\s+/.exec(rest)); rest = rest.slice(flag[0].length)) {
    const [, name, value] = flag;
    const ms = parseDuration(value!);
    if (name === 'interval' && ms !== undefined) times.intervalMs = ms;
    else if (name === 'timeout' && ms !== undefined) times.timeoutMs = ms;
    else if (name === 'start-period' && ms !== undefined) times.startPeriodMs = ms;
    else if (name === 'retries' && /^\d+$/.test(value!)) times.retries = Number(value);
    else throw new UsageError(`-c: "${instruction}": --${name}=${value} is not known`);
  }
  const [, command] = /^CMD\s+(.+)$/is.exec(rest) ?? [];
  if (command === undefined) throw new UsageError(`-c: "${instruction}" has neither NONE nor CMD`);
  const argv = jsonArray(command);
  return { test: argv ? ['CMD', ...argv] : ['CMD-SHELL', command], ...times };
}
