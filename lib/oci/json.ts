import { DinghyError, type ErrorCode } from '../errors';

export type JsonObject = Record<string, unknown>;

/** Reads fields of untrusted JSON; every error says which document and which field. */
export class JsonReader {
  readonly #what: string;
  readonly #code: ErrorCode;

  constructor(what: string, code: ErrorCode) {
    this.#what = what;
    this.#code = code;
  }

  fail(why: string, cause?: unknown): never {
    throw new DinghyError({
      code: this.#code,
      message: `${this.#what}: ${why}`,
      ...(cause === undefined ? {} : { cause }),
    });
  }

  /** The object that the bytes spell. Invalid UTF-8 is refused, not replaced: two readers would see two documents. */
  parse(bytes: Uint8Array, maxBytes: number): JsonObject {
    return this.object(this.parseAny(bytes, maxBytes), 'the document');
  }

  /** The same for any value. */
  parseAny(bytes: Uint8Array, maxBytes: number): unknown {
    if (bytes.byteLength > maxBytes) {
      this.fail(`it is larger than ${maxBytes} bytes`);
    }
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (error) {
      return this.fail('it is not JSON', error);
    }
  }

  object(value: unknown, field: string): JsonObject {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.fail(`${field} is not an object`);
    }
    return value as JsonObject;
  }

  array(value: unknown, field: string, maxLength: number): unknown[] {
    if (!Array.isArray(value)) {
      this.fail(`${field} is not an array`);
    }
    if (value.length > maxLength) {
      this.fail(`${field} has more than ${maxLength} entries`);
    }
    return value;
  }

  string(value: unknown, field: string): string {
    if (typeof value !== 'string') {
      this.fail(`${field} is not a string`);
    }
    return value;
  }

  /** Go programs write absent values as null or leave them out; both mean the default. */
  optionalString(value: unknown, field: string): string | undefined {
    return value === undefined || value === null || value === '' ? undefined : this.string(value, field);
  }

  strings(value: unknown, field: string, maxLength = 65536): string[] {
    if (value === undefined || value === null) {
      return [];
    }
    return this.array(value, field, maxLength).map((each, index) => this.string(each, `${field}[${index}]`));
  }

  /** Keys are the author's: `__proto__` becomes an ordinary key. */
  stringMap(value: unknown, field: string): Record<string, string> {
    if (value === undefined || value === null) {
      return {};
    }
    const entries = Object.entries(this.object(value, field));
    return Object.fromEntries(entries.map(([key, each]) => [key, this.string(each, `${field}.${key}`)]));
  }

  /** The keys of a map whose values carry nothing (Go's `map[string]struct{}`). */
  keys(value: unknown, field: string): string[] {
    return value === undefined || value === null ? [] : Object.keys(this.object(value, field));
  }

  /** A count of bytes or items: a whole number from 0 that JavaScript holds exactly. */
  count(value: unknown, field: string): number {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      this.fail(`${field} is not a whole number from 0`);
    }
    return value === 0 ? 0 : value; // -0 is spelled like a number but prints and compares like another one
  }

  optionalCount(value: unknown, field: string): number | undefined {
    return value === undefined || value === null ? undefined : this.count(value, field);
  }
}
