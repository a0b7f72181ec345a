export interface Summary {
  count: number;
  median: number;
  low: number;
  high: number;
}

/** Median and the 10th and 90th percentile. */
export function summarize(times: readonly number[]): Summary {
  const sorted = [...times].sort((left, right) => left - right);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
  return { count: sorted.length, median: at(0.5), low: at(0.1), high: at(0.9) };
}

/** One line for each series that has values: median, percentiles, and how many times the baseline it is. */
export function printTable(series: readonly [name: string, times: readonly number[]][], baselineMs: number): void {
  console.log(
    `${'milliseconds'.padEnd(36)}${'median'.padStart(9)}${'p10'.padStart(9)}${'p90'.padStart(9)}${'ratio'.padStart(8)}      n`,
  );
  for (const [name, times] of series) {
    if (times.length === 0) continue;
    const { median, low, high, count } = summarize(times);
    const cells = [median, low, high].map((value) => value.toFixed(2).padStart(9)).join('');
    console.log(
      `${name.padEnd(36)}${cells}${(median / baselineMs).toFixed(1).padStart(8)}${String(count).padStart(7)}`,
    );
  }
}
