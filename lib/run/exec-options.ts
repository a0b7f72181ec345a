import {
  checkArgument,
  checkArray,
  checkBoolean,
  checkChoice,
  checkDuration,
  checkInteger,
  checkOptions,
  checkRecord,
  checkSignal,
  checkText,
  invalidOption,
} from '../util/checks';
import { settleTerminal } from './settle-options';

export const spawnOptionNames = ['env', 'user', 'workdir', 'tty', 'timeoutMs', 'signal'];
export const execOptionNames = [...spawnOptionNames, 'input', 'encoding', 'maxOutputBytes', 'check'];

/** One more process in a container, checked. */
export interface SpawnSettings {
  argv: string[];
  env: Record<string, string>;
  user?: string;
  workdir?: string;
  terminal?: { columns: number; rows: number };
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface CollectSettings {
  input?: Uint8Array;
  encoding: 'utf8' | 'buffer';
  maxOutputBytes: number;
  check: boolean;
}

const defaultMaxOutputBytes = 16 * 1024 * 1024;

export function settleSpawn(argv: unknown, options: unknown, known = spawnOptionNames): SpawnSettings {
  const given = checkOptions('spawn', options, known);
  return {
    argv: checkArgv(argv),
    env: checkRecord('env', given['env'] ?? {}, (option, value, name) => {
      if (name === '' || name.includes('=')) {
        throw invalidOption(option, name, 'must be a variable name without "="');
      }
      return checkArgument(option, value);
    }),
    ...optional(given, 'user', checkText),
    ...optional(given, 'workdir', checkText),
    ...(given['tty'] === undefined ? {} : { terminal: settleTerminal('tty', given['tty']) }),
    ...optional(given, 'timeoutMs', checkDuration),
    ...optional(given, 'signal', checkSignal),
  };
}

export function settleCollect(options: Record<string, unknown>): CollectSettings {
  const { input, encoding, maxOutputBytes, check } = options;
  const bytes = typeof input === 'string' ? Buffer.from(input) : input;
  if (bytes !== undefined && !ArrayBuffer.isView(bytes)) {
    throw invalidOption('input', input, 'must be a string or bytes');
  }
  return {
    ...(bytes === undefined ? {} : { input: bytes as Uint8Array }),
    encoding: encoding === undefined ? 'utf8' : checkChoice('encoding', encoding, ['utf8', 'buffer']),
    maxOutputBytes:
      maxOutputBytes === undefined
        ? defaultMaxOutputBytes
        : checkInteger('maxOutputBytes', maxOutputBytes, 0, Number.MAX_SAFE_INTEGER),
    check: check === undefined ? false : checkBoolean('check', check),
  };
}

export function checkArgv(argv: unknown): string[] {
  const words = checkArray('argv', argv, checkArgument);
  if (words.length === 0 || words[0] === '') {
    throw invalidOption('argv', argv, 'must name a command');
  }
  return words;
}

function optional<Name extends string, T>(
  given: Record<string, unknown>,
  name: Name,
  check: (option: string, value: unknown) => T,
): Partial<Record<Name, T>> {
  return given[name] === undefined ? {} : ({ [name]: check(name, given[name]) } as Record<Name, T>);
}
