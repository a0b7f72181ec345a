// What the examples print; nothing here is dinghy's.
import type { Progress } from 'dinghy';

/** Runs one step and prints how long it took. */
export async function timed<T>(name: string, step: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await step();
  console.log(`${name.padEnd(8)}${(performance.now() - started).toFixed(1).padStart(8)} ms`);
  return result;
}

/** One bar over all layers, redrawn in place on a terminal; nothing elsewhere. */
export function progressBar(): (progress: Progress) => void {
  if (!process.stderr.isTTY) return () => undefined;
  return ({ phase, overall: { current, total = 0 } }) => {
    const share = total > 0 ? Math.min(1, current / total) : 0;
    const bar = '='.repeat(Math.round(share * 40)).padEnd(40);
    const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
    process.stderr.write(
      phase === 'done' && current >= total
        ? '\r\x1b[K'
        : `\r${phase.padEnd(12)}[${bar}] ${megabytes(current)}/${megabytes(total)} MB\x1b[K`,
    );
  };
}
