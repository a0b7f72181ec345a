import { UsageError } from './context';

/**
 * What the flags `--filter KEY=VALUE` name, by the library's names for their keys.
 * @param keys the library's name for each key
 */
export function parseFilters(
  values: readonly string[],
  keys: Readonly<Record<string, string>>,
): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const value of values) {
    const [, key = '', text] = /^(\w+)=(.*)$/s.exec(value) ?? [];
    const name = Object.hasOwn(keys, key) ? keys[key] : undefined;
    if (name === undefined || text === undefined) {
      throw new UsageError(`--filter takes ${Object.keys(keys).join('=, ')}=, not "${value}"`);
    }
    (found[name] ??= []).push(text);
  }
  return found;
}

/** Docker's `dangling=`, of which the last counts. @throws UsageError */
export function danglingFilter(values: readonly string[] | undefined): { dangling?: boolean } {
  const wanted = values?.at(-1);
  if (wanted !== undefined && !['true', 'false', '1', '0'].includes(wanted)) {
    throw new UsageError(`--filter dangling= is true or false, not "${wanted}"`);
  }
  return wanted === undefined ? {} : { dangling: wanted === 'true' || wanted === '1' };
}

/** For commander: each time the flag is given adds one. */
export function collect(value: string, all: string[] = []): string[] {
  return [...all, value];
}
