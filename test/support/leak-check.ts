import { spawnSync } from 'node:child_process';
import { rmSync, rmdirSync } from 'node:fs';

import type { Trace } from './machine-state';
import { findTraces } from './machine-state';

const pollMs = 50;

/** What was there when it was made is not a leak; everything else that is there later is. */
export class LeakCheck {
  readonly #before: ReadonlySet<string>;

  constructor(traces: readonly Trace[] = findTraces()) {
    this.#before = new Set(traces.map(keyOf));
  }

  /** What came since and is still there after `graceMs`: the kernel takes a moment to take a killed process apart. */
  async leaks(graceMs = 2000): Promise<Trace[]> {
    const deadline = Date.now() + graceMs;
    for (;;) {
      const found = findTraces().filter((trace) => !this.#before.has(keyOf(trace)));
      if (found.length === 0 || Date.now() >= deadline) return found;
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }
}

/** One line for each, and what it means. */
export function describeLeaks(leaks: readonly Trace[]): string {
  return `left on this machine:\n${leaks.map(({ kind, id }) => `  ${kind}: ${id}`).join('\n')}`;
}

/** Takes the leaks away as far as that is possible, so that the next test starts on a clean machine. */
export function cleanUp(leaks: readonly Trace[]): void {
  const of = (kind: Trace['kind']): string[] => leaks.filter((trace) => trace.kind === kind).map((trace) => trace.id);
  for (const id of of('process')) attempt(() => process.kill(Number(id.split(' ')[0]), 'SIGKILL'));
  for (const path of of('mount').reverse()) spawnSync('umount', ['-l', path]);
  for (const table of of('nft table')) spawnSync('nft', ['delete', ...table.split(' ')]);
  for (const name of of('link')) spawnSync('ip', ['link', 'delete', name]);
  for (const path of of('cgroup').reverse()) attempt(() => rmdirSync(path));
  for (const path of [...of('run-time folder'), ...of('temporary folder')]) {
    attempt(() => rmSync(path, { recursive: true, force: true }));
  }
}

function keyOf({ kind, id }: Trace): string {
  return `${kind} ${id}`;
}

function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // Gone meanwhile, or beyond us: the next look at the machine tells.
  }
}
