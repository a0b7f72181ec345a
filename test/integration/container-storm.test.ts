import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { TestBed } from '../support/busybox';
import { ChildProgram } from '../support/child-program';
import type { StormOrder, StormReport } from '../support/storm-child';
import { until } from '../support/until';

// Several processes call what they like on the same few containers at once: every call ends as it may, every container only goes
// from one state to another as it can, and nothing is left.

const seed = Number(process.env['DINGHY_TEST_SEED'] ?? Math.floor(Math.random() * 1e9));
const seconds = Number(process.env['DINGHY_TEST_STORM_SECONDS'] ?? 6);
const processes = 4;
const names = ['storm-a', 'storm-b', 'storm-c', 'storm-d'];

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

/** From which states an event may come, and to which it leads. */
const transitions: Record<string, [from: string[], to: string]> = {
  create: [['nothing'], 'created'],
  start: [['created', 'ended'], 'running'],
  pause: [['running'], 'paused'],
  unpause: [['paused'], 'running'],
  die: [['running', 'paused'], 'ended'],
  destroy: [['created', 'ended'], 'gone'],
};

interface Life {
  state: string;
  seen: string[];
}

/** Follows the containers by their events, until the signal fires. */
async function followLives(lives: Map<string, Life>, faults: string[], signal: AbortSignal): Promise<void> {
  try {
    for await (const { type, action, id } of bed.runtime.events({ signal })) {
      const known = type === 'container' ? transitions[action] : undefined;
      if (!known) continue;
      const life = lives.get(id) ?? { state: 'nothing', seen: [] };
      lives.set(id, life);
      life.seen.push(action);
      const [from, to] = known;
      if (!from.includes(life.state)) faults.push(`${action} of one that is ${life.state}: ${life.seen.join(' ')}`);
      life.state = to;
    }
  } catch (error) {
    if ((error as { code?: string }).code !== 'ABORT_ERR') throw error;
  }
}

test(
  `${processes} processes, ${seconds} s (seed ${seed})`,
  async () => {
    const program = new ChildProgram(bed.folder, 'storm-child');
    const lives = new Map<string, Life>();
    const faults: string[] = [];
    const over = new AbortController();
    const following = followLives(lives, faults, over.signal);
    const children = Array.from({ length: processes }, (_, index) => {
      const folder = join(bed.folder, `storm-${index}`);
      mkdirSync(folder);
      const order: StormOrder = { seed: seed + index, seconds, image: bed.busybox, names, folder };
      return program.start([bed.state, JSON.stringify(order)]).ended;
    });
    const ended = await Promise.all(children);
    for (const container of await bed.runtime.containers({ all: true })) {
      await container.remove({ force: true, volumes: true }).catch((error: unknown) => {
        if ((error as { code?: string }).code !== 'ERR_CONTAINER_NOT_FOUND') throw error;
      });
    }
    const isOver = (): boolean => [...lives.values()].every((life) => life.state === 'gone');
    await until('the last event has come', isOver).finally(() => over.abort());
    await following;

    const reports = ended.map(({ output }): StormReport => {
      const line = output.trimEnd().split('\n').at(-1) ?? '';
      if (!line.startsWith('{')) throw new Error(`a process told nothing but: ${output}`);
      return JSON.parse(line) as StormReport;
    });
    expect(reports.flatMap((report) => report.faults)).toEqual([]);
    expect(ended.map(({ code }) => code)).toEqual(ended.map(() => 0));
    expect(readdirSync(join(bed.root, 'containers'), { recursive: true })).toEqual([]);
    expect(readdirSync(join(bed.root, 'names'))).toEqual([]);
    expect(readdirSync(bed.state).sort()).toEqual(['events', 'provider.json']);
    expect(faults).toEqual([]);
    // It was a storm, and not a row of refusals.
    const calls = reports.reduce((sum, report) => sum + report.calls, 0);
    const done = reports.flatMap(({ ends }) => Object.entries(ends)).filter(([end]) => end.endsWith(' ok'));
    expect(calls).toBeGreaterThan(processes * seconds);
    expect(new Set(done.map(([end]) => end)).size).toBeGreaterThan(5);
    console.log(`${calls} calls, ${lives.size} containers`);
  },
  60_000 + seconds * 5000,
);
