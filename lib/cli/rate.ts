import { humanSize } from './format';

// Long enough to be steady, short enough to show that a line has become slow.
const windowMs = 5000;
const leastSpanMs = 500;

/** How fast a number of bytes grows, seen over the last seconds. */
export class Rate {
  #samples: { bytes: number; atMs: number }[] = [];

  add(bytes: number, atMs: number): void {
    const last = this.#samples.at(-1);
    // After an interruption a transfer may start over.
    this.#samples = last && bytes < last.bytes ? [] : this.#samples.filter((each) => atMs - each.atMs <= windowMs);
    this.#samples.push({ bytes, atMs });
  }

  /** Bytes a second; undefined while it's too early to tell. */
  get perSecond(): number | undefined {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last || last.atMs - first.atMs < leastSpanMs) return undefined;
    return ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs);
  }

  /** `  3.1MB/s  12s`: and the time left, where the end is known; nothing while it's too early to tell. */
  text(total?: number): string {
    const rate = this.perSecond;
    if (rate === undefined) return '';
    const left = total === undefined || rate === 0 ? undefined : (total - (this.#samples.at(-1)?.bytes ?? 0)) / rate;
    return `  ${humanSize(Math.round(rate))}/s${left === undefined ? '' : `  ${timeLeft(left)}`}`;
  }
}

/** `8s`, `1m05s`, `2h03m`. */
export function timeLeft(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  return whole < 3600
    ? `${Math.floor(whole / 60)}m${two(whole % 60)}s`
    : `${Math.floor(whole / 3600)}h${two((whole % 3600) / 60)}m`;
}
