import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';

import type { Container, ContainerOptions } from '../../lib';
import { TestBed } from '../support/busybox';
import { buildTar } from '../support/tar-builder';
import { until } from '../support/until';

// Every call on a container in every state, as the table in docs/containers.md has it: the state afterwards, or the error.

const states = ['created', 'running', 'paused', 'restarting', 'exited', 'removed'] as const;
type State = (typeof states)[number];

interface Row {
  call: string;
  cells: Record<State, string>;
  /** HTTP statuses of Docker's answers, in the order of the states. */
  docker: number[];
}

const page = readFileSync(join(__dirname, '../../docs/containers.md'), 'utf8');
const section = page.slice(page.indexOf('## Every call in every state'));
const rows = [...section.matchAll(/^\| `(.+?)` \|(.*)\|$/gm)].map(([, call = '', rest = '']): Row => {
  const cells = rest.split('|').map((cell) => cell.trim());
  const docker = cells.at(-1)!.split(' ').filter(Boolean).map(Number);
  return { call, cells: Object.fromEntries(states.map((state, at) => [state, cells[at]])) as Row['cells'], docker };
});

let bed: TestBed;
let flags: string;

beforeAll(async () => {
  bed = await TestBed.make();
  flags = join(bed.folder, 'flags');
  await mkdir(flags);
});
afterAll(async () => {
  await bed.remove();
});

const calls: Record<string, (container: Container, signal: AbortSignal) => Promise<unknown>> = {
  'start()': (container) => container.start(),
  'stop()': (container) => container.stop({ timeoutMs: 50 }),
  'kill()': (container) => container.kill(),
  "kill('SIGTERM')": (container) => container.kill('SIGTERM'),
  'restart()': (container) => container.restart({ timeoutMs: 50 }),
  'pause()': (container) => container.pause(),
  'unpause()': (container) => container.unpause(),
  'remove()': (container) => container.remove(),
  'remove({ force: true })': (container) => container.remove({ force: true }),
  'wait()': (container, signal) => container.wait({ signal }),
  "wait({ condition: 'next-exit' })": (container, signal) => container.wait({ condition: 'next-exit', signal }),
  "wait({ condition: 'removed' })": (container, signal) => container.wait({ condition: 'removed', signal }),
  'waitFor({ log })': (container, signal) => container.waitFor({ log: 'ready' }, { signal }),
  'waitFor({ exec })': (container, signal) => container.waitFor({ exec: ['true'] }, { signal }),
  'inspect()': (container) => container.inspect(),
  'exec()': (container) => container.exec(['true'], { check: true }),
  'spawn()': async (container) => (await container.spawn(['true'])).wait(),
  'attach()': async (container) => (await container.attach()).detach(),
  'logs()': async (container) => {
    for await (const { line } of container.logs()) expect(line).toBe('ready');
  },
  'port()': (container) => container.port(80),
  'stats()': (container) => container.stats(),
  'top()': (container) => container.top(),
  'rename()': (container) => container.rename(`renamed-${container.name}`),
  'update()': (container) => container.update({ pids: 100 }),
  'copyTo()': (container) => container.copyTo(__filename, '/tmp'),
  'copyFrom()': (container) => container.copyFrom('/etc/passwd', join(bed.folder, `passwd-${container.name}`)),
  'archive()': async (container) => drain(await container.archive('/etc/passwd')),
  'extract()': (container) => container.extract('/tmp', Readable.from([buildTar([{ name: 'file' }])])),
  'diff()': (container) => container.diff(),
  'export()': async (container) => drain(await container.export()),
};

async function drain(stream: Readable): Promise<void> {
  stream.resume();
  await finished(stream);
}

let counter = 0;

/** A detached container in this state, as another process would have looked it up. */
async function inState(state: State, call: string): Promise<Container> {
  const needsNetwork = call === 'port()';
  const options: ContainerOptions = {
    name: `states-${counter++}`,
    detached: true,
    ...(needsNetwork ? { ports: [80] } : { network: 'none' }),
    mounts: [`${flags}:/flags:ro`],
    command: ['sh', '-c', 'echo ready; [ -e /flags/$(hostname) ] && exec sleep 1000; exit 3'],
  };
  options.hostname = options.name!;
  if (state !== 'restarting') stayUp(options.name!);
  const made = await bed.runtime.create(bed.busybox, {
    ...options,
    ...(state === 'restarting' ? { restart: 'always' } : {}),
  });
  if (state !== 'created' && state !== 'removed') await made.start();
  if (state === 'running' || state === 'paused') await made.waitFor({ log: 'ready' });
  if (state === 'paused') await made.pause();
  if (state === 'exited') await made.stop({ timeoutMs: 0 });
  if (state === 'restarting') {
    await until('it waits for seconds', async () => isBetweenLateRuns(made), 30_000);
    stayUp(options.name!);
  }
  const found = await bed.runtime.container(made.id);
  if (state === 'removed') await made.remove();
  return found;
}

/** Before its sixth run it waits 3.2 s. */
async function isBetweenLateRuns(container: Container): Promise<boolean> {
  const { status, restartCount } = await container.inspect();
  return status === 'restarting' && restartCount >= 5;
}

/** Its next run does not end by itself. */
function stayUp(name: string): void {
  writeFileSync(join(flags, name), '');
}

async function statusOf(id: string): Promise<string> {
  try {
    return (await (await bed.runtime.container(id)).inspect()).status;
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_CONTAINER_NOT_FOUND') return 'gone';
    throw error;
  }
}

/** What the call did, in the words of the table; `expected` says what is worth waiting for. */
async function outcome(state: State, call: string, expected: string): Promise<string> {
  const container = await inState(state, call);
  const stop = new AbortController();
  try {
    const settled = calls[call]!(container, stop.signal).then(
      () => undefined,
      (error: unknown) => (error as { code?: string }).code ?? String(error),
    );
    if (expected === 'waits') {
      const early = await Promise.race([settled.then((code) => code ?? 'settled'), pass(200)]);
      return early ?? 'waits';
    }
    const code = await settled;
    if (code !== undefined) return code.replace(/^ERR_(CONTAINER_)?/, '');
    // A kill is told before the end that it leads to.
    await until('its state is that of the table', async () => (await statusOf(container.id)) === expected, 2000).catch(
      () => undefined,
    );
    return await statusOf(container.id);
  } finally {
    stop.abort();
    if (state !== 'removed') await removeIfThere(container.id);
  }
}

async function removeIfThere(id: string): Promise<void> {
  try {
    await (await bed.runtime.container(id)).remove({ force: true });
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_CONTAINER_NOT_FOUND') throw error;
  }
}

async function pass(ms: number): Promise<undefined> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

test('the table has every call that this tries', () => {
  expect(rows.map(({ call }) => call)).toEqual(Object.keys(calls));
});

test.each(states)('%s: each call does what the table says', async (state) => {
  const found: Record<string, string> = {};
  const tryOne = async ({ call, cells }: Row): Promise<void> => {
    found[call] = await outcome(state, call, cells[state]);
  };
  await Promise.all(rows.map(tryOne));
  expect(found).toEqual(Object.fromEntries(rows.map(({ call, cells }) => [call, cells[state]])));
});

test('where Docker answers otherwise, the page says so', () => {
  const explained = new Set(
    [...section.matchAll(/^- (.+?):/gm)].flatMap(([, names = '']) => names.match(/`.+?`/g) ?? []),
  );
  const differs = ({ cells, docker }: Row): boolean =>
    states.some((state, at) => docker[at]! >= 400 !== /^[A-Z_]+$/.test(cells[state]));
  const different = rows.filter((row) => row.docker.length > 0 && differs(row)).map(({ call }) => `\`${call}\``);
  expect(different.filter((call) => !explained.has(call))).toEqual([]);
});
