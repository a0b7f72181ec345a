import { inspect } from 'node:util';

import { DinghyError } from '../errors';
import { nearest } from './nearest';

/** The error of a bad option: names it, shows what was given, says what would be right. */
export function invalidOption(option: string, value: unknown, wanted: string): DinghyError {
  return new DinghyError({
    code: 'ERR_INVALID_OPTION',
    // A key the user gave may be part of the name.
    message: `option ${option.replace(/[\0-\x1f]/g, '?')}: ${wanted}, not ${show(value)}`,
    details: { option },
  });
}

function show(value: unknown): string {
  if (typeof value === 'object') {
    return kindOf(value);
  }
  const text = typeof value === 'string' ? JSON.stringify(value) : inspect(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function kindOf(value: object | null): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object';
}

export type PlainObject = Record<string, unknown>;

/** An object literal, in whatever realm it was written (so no test of its prototype). */
export function isPlainObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The options as an object; undefined is an empty one. Unknown names are refused with the nearest known one. */
export function checkOptions(where: string, value: unknown, known: readonly string[]): PlainObject {
  if (value === undefined) {
    return {};
  }
  if (!isPlainObject(value)) {
    throw invalidOption(where, value, 'must be an object');
  }
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) {
      const meant = nearest(name, known);
      throw new DinghyError({
        code: 'ERR_INVALID_OPTION',
        message: `option ${name} of ${where} is unknown${meant ? `: did you mean ${meant}?` : `: known are ${known.join(', ')}`}`,
        details: { option: name, ...(meant ? { meant } : {}) },
      });
    }
  }
  return value;
}

/** A string without NUL, CR and LF: what may stand in hosts, passwd, or a kernel file. */
export function checkText(option: string, value: unknown, wanted = 'must be a non-empty string in one line'): string {
  if (typeof value !== 'string' || value === '' || /[\0\r\n]/.test(value)) {
    throw invalidOption(option, value, wanted);
  }
  return value;
}

/** A string for an argument or an environment variable: anything but NUL, which execve cannot pass. */
export function checkArgument(option: string, value: unknown): string {
  if (typeof value !== 'string' || value.includes('\0')) {
    throw invalidOption(option, value, 'must be a string without NUL');
  }
  return value;
}

/** `where`: 'in the container'. */
export function checkAbsolutePath(option: string, value: unknown, where: string): string {
  const path = checkText(option, value);
  if (!path.startsWith('/')) {
    throw invalidOption(option, value, `must be an absolute path ${where}`);
  }
  return path;
}

export function checkBoolean(option: string, value: unknown): boolean {
  if (typeof value !== 'boolean') {
    throw invalidOption(option, value, 'must be true or false');
  }
  return value;
}

export function checkInteger(option: string, value: unknown, minimum: number, maximum: number): number {
  if (!Number.isInteger(value) || (value as number) < minimum || (value as number) > maximum) {
    throw invalidOption(option, value, `must be an integer from ${minimum} to ${maximum}`);
  }
  return value as number;
}

/** Milliseconds, as setTimeout takes them (more than 2^31 would fire at once). */
export function checkDuration(option: string, value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0) || value > 2147483647) {
    throw invalidOption(option, value, 'must be a number of milliseconds from 0 to 2147483647');
  }
  return value;
}

/** Epoch milliseconds of a Date (of any realm) or a number. */
export function checkTime(option: string, value: unknown): number {
  const isDate = Object.prototype.toString.call(value) === '[object Date]';
  const time = isDate ? (value as Date).getTime() : value;
  if (typeof time !== 'number' || !Number.isFinite(time)) {
    throw invalidOption(option, value, 'must be a Date or milliseconds since 1970');
  }
  return time;
}

export function checkArray<T>(option: string, value: unknown, each: (option: string, value: unknown) => T): T[] {
  if (!Array.isArray(value)) {
    throw invalidOption(option, value, 'must be an array');
  }
  return value.map((item: unknown, index) => each(`${option}[${index}]`, item));
}

export function checkRecord<T>(
  option: string,
  value: unknown,
  each: (option: string, value: unknown, key: string) => T,
): Record<string, T> {
  if (!isPlainObject(value)) {
    throw invalidOption(option, value, 'must be an object');
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, each(`${option}.${key}`, item, key)]));
}

/** One of the named choices. */
export function checkChoice<T extends string>(option: string, value: unknown, choices: readonly T[]): T {
  if (!choices.includes(value as T)) {
    throw invalidOption(option, value, `must be ${choices.map((choice) => `'${choice}'`).join(' or ')}`);
  }
  return value as T;
}

/** An AbortSignal of any realm. */
export function checkSignal(option: string, value: unknown): AbortSignal {
  if (typeof (value as AbortSignal | undefined)?.aborted !== 'boolean') {
    throw invalidOption(option, value, 'must be an AbortSignal');
  }
  return value as AbortSignal;
}
