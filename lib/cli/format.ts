import { parseDuration } from '../util/duration';

/** The way Docker writes a span of time: `About a minute`, `3 hours`, `2 weeks`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}

/** `142MB`: three digits, powers of 1000, as Docker's tables have it. */
export function humanSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(3))}${units[unit]}`;
}

/** `1.934GiB`: four digits, powers of 1024, as Docker has memory. */
export function binarySize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}

/** Docker's truncation: `/docker-entrypoint.…` for 20. */
export function ellipsis(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}

/** 12 hex digits of an id or digest, without its algorithm. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}

const datePattern = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d{1,9})?))?)?)?(Z|[+-]\d\d:\d\d)?$/;

/**
 * What --since and --until take, as Docker reads it: a while ago (`42m`, `1h30m`), RFC 3339 or a beginning of it (`2026-01-31`,
 * `2026-01-31T12:00`; without a zone it is local time), or a Unix time in seconds (`1769860800.5`).
 */
export function parseTime(text: string, now: Date): Date | undefined {
  if (/^\d+(\.\d{1,9})?$/.test(text)) return new Date(Number(text) * 1000);
  const [, date, hours = '00', minutes = '00', seconds = '00', zone = ''] = datePattern.exec(text) ?? [];
  if (date !== undefined) {
    // JavaScript knows milliseconds; and takes a date alone for UTC, but not one with a time.
    const time = new Date(`${date}T${hours}:${minutes}:${seconds.slice(0, 6)}${zone}`);
    return Number.isNaN(time.getTime()) ? undefined : time;
  }
  const ago = parseDuration(text.replace(/^[+-]/, ''));
  return ago === undefined ? undefined : new Date(now.getTime() - (text.startsWith('-') ? -ago : ago));
}
