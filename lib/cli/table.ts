import type { Output } from './context';
import { UsageError } from './context';

/** Named cells of one line; the key is what a `--format` template calls it: `ID`, `Names`. */
export type Row = Record<string, string>;

/** A column of a table: its heading and the cell it shows. */
export type Column = readonly [heading: string, key: string];

/** The lines of a table, laid out as Docker does: columns at least ten wide, three blanks between them. */
export function layoutTable(columns: readonly Column[], rows: readonly Row[]): string {
  const lines = [columns.map(([heading]) => heading), ...rows.map((row) => columns.map(([, key]) => row[key] ?? ''))];
  const widths = columns.map((_column, index) => Math.max(10, ...lines.map((line) => [...line[index]!].length + 3)));
  const last = columns.length - 1;
  return lines
    .map((line) => line.map((cell, index) => (index === last ? cell : cell + pad(cell, widths[index]!))).join(''))
    .map((line) => `${line}\n`)
    .join('');
}

/**
 * A table, or under a template (`{{.ID}}\t{{.Names}}`, `table {{.ID}}`, `json`) what it says, a line for each row.
 * @param more columns that only a template shows
 */
export function printRows(
  out: Output,
  columns: readonly Column[],
  rows: readonly Row[],
  format: string | undefined,
  more: readonly Column[] = [],
): void {
  if (format === undefined || format === 'table') {
    out.write(layoutTable(columns, rows));
    return;
  }
  const table = /^table\s/.test(format);
  const template = format === 'json' ? '{{json .}}' : format.replace(/^table\s+/, '');
  if (table) {
    const headings = new Map([...columns, ...more].map(([heading, key]) => [key, heading]));
    const keys = [...template.matchAll(/\{\{\s*\.(\w+)\s*\}\}/g)].map((match) => match[1]!);
    out.write(
      layoutTable(
        keys.map((key) => [headings.get(key) ?? key.toUpperCase(), key]),
        rows.map((row) => checkKeys(row, keys)),
      ),
    );
    return;
  }
  for (const row of rows) out.write(`${expand(template, row)}\n`);
}

/** A template with dotted paths (`{{.status}}`, `{{json .ports}}`) filled from a value. */
export function expand(template: string, value: unknown): string {
  return template
    .replaceAll('\\t', '\t')
    .replaceAll('\\n', '\n')
    .replace(/\{\{(.*?)\}\}/g, (_whole, inner: string) => {
      const [, json, path] = /^\s*(json\s+)?\.([\w.]*)\s*$/.exec(inner) ?? [];
      if (path === undefined) {
        throw new UsageError(`this template is not understood: {{${inner}}}: use {{.Field}} or {{json .Field}}`);
      }
      const found = path === '' ? value : follow(value, path.split('.'));
      return json !== undefined || typeof found === 'object' ? JSON.stringify(found) : `${found as string | number}`;
    });
}

function follow(value: unknown, path: readonly string[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) {
      const known = typeof current === 'object' && current !== null ? Object.keys(current).join(', ') : 'none';
      throw new UsageError(`no field ${key} for the template; the fields are: ${known}`);
    }
    current = (current as Record<string, unknown>)[key];
  }
  return current ?? '';
}

function checkKeys(row: Row, keys: readonly string[]): Row {
  keys.forEach((key) => follow(row, [key]));
  return row;
}

function pad(cell: string, width: number): string {
  return ' '.repeat(Math.max(0, width - [...cell].length));
}
