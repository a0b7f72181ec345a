import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { TestBed } from '../support/busybox';
import type { StartedProgram } from '../support/child-program';
import { describeLeaks, LeakCheck } from '../support/leak-check';
import { seededRandom } from '../support/random-image';
import { until } from '../support/until';

// Owners, supervisors and both are killed at random moments of a container's life. `npm test` tries some, `npm run soak -- deaths` as
// many as DINGHY_TEST_DEATHS says of each of the first two, and a quarter of both.
const seed = Number(process.env['DINGHY_TEST_SEED'] ?? Math.floor(Math.random() * 1e9));
const deaths = Number(process.env['DINGHY_TEST_DEATHS'] ?? 8);
const random = seededRandom(seed);
const graceMs = 2000;

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
  console.log(`seed ${seed}`);
});
afterAll(async () => {
  await bed.remove();
});

/** A container's life in another process: an image's volume, a network with a port, what it is used for, two runs. */
const life = `
  const told = [];
  const tell = (result) => told.push(result);
  say('ready');
  try {
    const container = await runtime.run(given.image, {
      ports: [80],
      mounts: [{ type: 'volume', target: '/data' }],
      command: ['sh', '-c', 'trap "exit 5" TERM; echo up; while :; do sleep 0.05; done'],
      waitFor: { log: 'up' },
    });
    void container.wait().then(tell, () => undefined);
    await container.exec(['sh', '-c', 'sleep 100 & echo x > /data/x']);
    await container.stop({ timeoutMs: 2000 });
    tell(await container.wait());
    await container.start();
    const spawned = await container.spawn(['sleep', '100']);
    void spawned.wait().then(tell, () => undefined);
    tell(await container.exec(['sh', '-c', 'exit 7']));
    await container.close();
  } catch (error) {
    if (!String(error.code).startsWith('ERR_') && error.code !== 'ABORT_ERR') say({ fault: error.stack });
    if (error.exitCode === 0) say({ fault: 'a success that was none: ' + error.stack });
  }
  await runtime.close();
  for (const { exitCode } of told) if (exitCode === 0) say({ fault: 'a success that was none' });
  say('done');
`;

interface Life extends StartedProgram {
  /** What it has said so far. */
  readonly said: () => string;
}

async function begin(): Promise<Life> {
  const started = bed.child(life, { image: bed.busybox });
  let said = '';
  started.child.stdout!.on('data', (chunk) => (said += String(chunk)));
  await until('the process is up', () => said.includes('ready'), 30_000);
  return { ...started, said: () => said };
}

let wholeMs = 0;
/** How long a life is that nobody cuts short: it bounds the moments. */
async function measure(): Promise<void> {
  if (wholeMs > 0) return;
  const { ended } = await begin();
  const started = performance.now();
  expect((await ended).output).toBe('ready\ndone\n');
  wholeMs = performance.now() - started;
}

async function atRandomMoment(): Promise<number> {
  const delayMs = Math.floor(random() * wholeMs);
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  return delayMs;
}

/** All processes of the binary below that one: mostly a supervisor and what it has forked. */
function binariesOf(pid: number): number[] {
  const below = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        return [{ pid: Number(name), parent, isBinary: stat.includes('(dinghy-supervis') }];
      } catch {
        return [];
      }
    });
  const children = below.filter(({ parent }) => parent === pid);
  return children.flatMap((child) => [...(child.isBinary ? [child.pid] : []), ...binariesOf(child.pid)]);
}

function kill(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}

/** In time all is gone that runs, and with the next command what is on the disk. */
async function expectNothingLeft(check: LeakCheck, when: string): Promise<void> {
  const lively = (await check.leaks(graceMs)).filter(({ kind }) => kind !== 'cgroup' && kind !== 'run-time folder');
  if (lively.length > 0) throw new Error(`${when}: ${describeLeaks(lively)}`);
  expect(await bed.child('say(await runtime.containers({ all: true }))').ended).toEqual({ code: 0, output: '[]\n' });
  const left = await check.leaks(0);
  if (left.length > 0) throw new Error(`${when}, and after the next command: ${describeLeaks(left)}`);
  for (const folder of ['containers', 'names', 'volumes', 'tmp']) {
    const path = join(bed.root, folder);
    expect({ when, path, left: readdirSync(path) }).toEqual({ when, path, left: [] });
  }
  expect(listening()).toEqual([]);
}

/** Ports that the binary holds. */
function listening(): string[] {
  const { stdout } = spawnSync('ss', ['-Hltunp'], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line.includes('dinghy-supervis'));
}

async function killed(victims: (life: Life) => (number | undefined)[]): Promise<void> {
  const check = new LeakCheck();
  const begun = await begin();
  const delayMs = await atRandomMoment();
  for (const victim of victims(begun)) kill(victim);
  const when = `killed after ${delayMs} of ${Math.round(wholeMs)} ms (seed ${seed})`;
  const { output } = await begun.ended;
  expect({ when, output }).toEqual({ when, output: expect.not.stringContaining('fault') });
  await expectNothingLeft(check, when);
}

const one = (pids: readonly number[]): number | undefined => pids[Math.floor(random() * pids.length)];

test.each<[who: string, count: number, victims: (life: Life) => (number | undefined)[]]>([
  ['owner', deaths, ({ child }) => [child.pid]],
  ['supervisor', deaths, ({ child }) => binariesOf(child.pid!).slice(0, 1)],
  ['process of the binary, any', deaths, ({ child }) => [one(binariesOf(child.pid!))]],
  ['owner and supervisor', Math.ceil(deaths / 4), ({ child }) => [...binariesOf(child.pid!).slice(0, 1), child.pid]],
  ['supervisor and owner', Math.ceil(deaths / 4), ({ child }) => [child.pid, ...binariesOf(child.pid!).slice(0, 1)]],
])(
  'killed at a random moment: %s, %i times',
  async (_who, count, victims) => {
    await measure();
    for (let sample = 0; sample < count; sample++) await killed(victims);
  },
  60_000 + deaths * 10_000,
);
