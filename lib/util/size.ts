import { invalidOption } from './checks';

const units: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** Bytes from a number or from `'512m'`: powers of 1024, as Docker reads them; `kb` and `KiB` mean the same as `k`. */
export function parseSize(option: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) {
    return value;
  }
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(value) : null;
  const bytes = match ? Math.floor(Number(match[1]) * units[match[2]!.toLowerCase()]!) : Number.NaN;
  if (!Number.isSafeInteger(bytes)) {
    throw invalidOption(option, value, "must be a number of bytes or a string like '512m'");
  }
  return bytes;
}
