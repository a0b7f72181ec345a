import { PassThrough } from 'node:stream';

import { progressReporter } from '../../../lib/cli/progress';
import { Rate, timeLeft } from '../../../lib/cli/rate';
import type { Progress } from '../../../lib/index';

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const step = (letter: string, phase: Progress['phase'], current: number, total = 100_000_000): Progress => ({
  phase,
  digest: digest(letter),
  current,
  total,
  overall: { current },
});

/** What a terminal of this size shows in the end: the cursor's moves are followed. */
class Screen extends PassThrough {
  readonly isTTY = true;
  readonly #lines: string[] = [''];
  #row = 0;

  constructor(
    readonly columns = 120,
    readonly rows = 50,
  ) {
    super();
  }

  override write(chunk: string): boolean {
    for (const [part] of chunk.matchAll(/\x1b\[(\d*)([ABK])|[\r\n]|[^\x1b\r\n]+/g)) {
      const [, count, move] = /^\x1b\[(\d*)([ABK])$/.exec(part) ?? [];
      if (part === '\n') {
        this.#row++;
        this.#lines[this.#row] ??= '';
      } else if (move === 'A' || move === 'B') {
        this.#row += Number(count) * (move === 'A' ? -1 : 1);
      } else if (move === undefined && part !== '\r') {
        this.#lines[this.#row] = part;
      }
    }
    return true;
  }

  get text(): string {
    return this.#lines.join('\n');
  }
}

test('a terminal shows a bar for each layer, with bytes, rate and the time left', () => {
  const screen = new Screen();
  let nowMs = 0;
  const report = progressReporter(screen, 'pull', () => nowMs);
  report({ phase: 'resolving', current: 0, overall: { current: 0 } });
  report(step('a', 'downloading', 0));
  report(step('b', 'exists', 5));
  nowMs = 1000;
  report(step('a', 'downloading', 20_000_000));
  nowMs = 2000;
  report(step('a', 'downloading', 40_000_000));
  expect(screen.text).toBe(
    'aaaaaaaaaaaa: Downloading [============>                 ]  40MB/100MB  20MB/s  3s\nbbbbbbbbbbbb: Already exists\n',
  );
  report(step('a', 'extracting', 1_000_000));
  expect(screen.text).toMatch(/^a{12}: Extracting \[> {29}\] {2}1MB\/100MB\n/);
  report(step('a', 'done', 100_000_000));
  expect(screen.text).toBe('aaaaaaaaaaaa: Pull complete\nbbbbbbbbbbbb: Already exists\n');
});

test('a bar is never wider than the terminal, nor redrawn above its top', () => {
  const screen = new Screen(40, 3);
  const report = progressReporter(screen);
  for (const letter of 'abcd') report(step(letter, 'downloading', 1_000_000));
  expect(Math.max(...screen.text.split('\n').map((line) => line.length))).toBe(39);
  report(step('a', 'done', 1));
  report(step('d', 'done', 1));
  expect(screen.text).not.toContain('aaaaaaaaaaaa: Pull complete');
  expect(screen.text).toContain('dddddddddddd: Pull complete');
});

test('elsewhere there is a line for each phase', () => {
  const out = new PassThrough();
  const report = progressReporter(out, 'push');
  for (const current of [0, 50, 100]) report(step('a', 'uploading', current));
  report(step('b', 'exists', 1));
  report(step('a', 'done', 100));
  expect(String(out.read())).toBe('aaaaaaaaaaaa: Pushing\nbbbbbbbbbbbb: Layer already exists\naaaaaaaaaaaa: Pushed\n');
});

test('a rate is that of the last seconds, and of nothing before a start over', () => {
  const rate = new Rate();
  rate.add(0, 0);
  expect(rate.text(100)).toBe('');
  rate.add(100_000, 1000);
  expect(rate.perSecond).toBe(100_000);
  for (let second = 2; second <= 20; second++) rate.add(100_000 + second, second * 1000);
  expect(rate.perSecond).toBe(1);
  rate.add(0, 21_000);
  expect(rate.perSecond).toBeUndefined();
});

test.each([
  [0.2, '1s'],
  [59, '59s'],
  [65, '1m05s'],
  [7380, '2h03m'],
])('%d seconds are %s', (seconds, text) => {
  expect(timeLeft(seconds)).toBe(text);
});
