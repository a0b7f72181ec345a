import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { removeFolder, temporaryFolder } from '../support/temporary-folder';
import { busyboxRoot, isAlive, NativeContainer } from './harness';
import { until } from '../support/until';

let shared: string;
let lower: string;

beforeAll(() => {
  shared = temporaryFolder('native-root');
  lower = busyboxRoot(shared);
});
afterAll(() => removeFolder(shared));

async function withContainer(
  options: Parameters<typeof NativeContainer.open>[1],
  use: (container: NativeContainer) => Promise<void>,
): Promise<void> {
  const container = await NativeContainer.open(lower, options);
  try {
    await use(container);
  } finally {
    await container.remove();
  }
}

const always = { policy: 'always' };
const statuses = ({ events }: NativeContainer) =>
  events.filter(({ event }) => event === 'state').map((event) => event['status']);

test('on-failure goes on until it succeeds, and its lines are told apart', async () => {
  const script = 'n=$(cat /n || echo 0); echo "try $n"; echo $((n + 1)) >/n; [ $n -ge 2 ]';
  await withContainer({ args: ['sh', '-c', script], restart: { policy: 'on-failure' } }, async (container) => {
    const startedMs = Date.now();
    await container.request('start');
    expect(await container.reached('stopped')).toMatchObject({ exitCode: 0, restartCount: 2, runs: 3 });
    // 100 ms and 200 ms.
    expect(Date.now() - startedMs).toBeGreaterThanOrEqual(300);
    const one = ['running', 'restarting'];
    expect(statuses(container)).toEqual([...one, ...one, 'running', 'stopped']);
    const log = readFileSync(container.logPath, 'utf8').replace(/^\S+ /gm, '');
    expect(log.split('\n').filter((line) => !line.startsWith('stderr'))).toEqual([
      'stdout F try 0',
      'stdout F:run=2 try 1',
      'stdout F:run=3 try 2',
      '',
    ]);
  });
});

test('on-failure gives up after so many times', async () => {
  await withContainer({ args: ['false'], restart: { policy: 'on-failure', maxRetries: 2 } }, async (container) => {
    await container.request('start');
    expect(await container.reached('stopped')).toMatchObject({ exitCode: 1, restartCount: 2, runs: 3 });
  });
});

test.each(['always', 'unless-stopped'])('%s restarts what succeeded too, until somebody stops it', async (policy) => {
  await withContainer({ args: ['true'], restart: { policy } }, async (container) => {
    await container.request('start');
    await until('it ran three times', () => statuses(container).filter((one) => one === 'running').length === 3);
    expect(await container.request('stop')).toMatchObject({ ok: true });
    expect(await container.request('state')).toMatchObject({
      state: { status: 'stopped', exitCode: 0, manuallyStopped: true },
    });
    const { length } = container.events;
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(container.events).toHaveLength(length);
    // Its next start begins its policy anew.
    await container.request('start');
    await until('it was started again', () => statuses(container).slice(length).includes('restarting'));
    expect(await container.request('state')).toMatchObject({ state: { restartCount: 1 } });
  });
});

test('stop, kill and remove end it while it runs and while it waits', async () => {
  const runs = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.05; done'];
  for (const [op, fields] of [
    ['stop', {}],
    ['signal', { signal: 9 }],
    ['signal', { signal: 15 }],
  ] as const) {
    for (const args of [runs, ['true']]) {
      await withContainer({ args, restart: always }, async (container) => {
        await container.request('start');
        if (args !== runs) {
          await container.reached('restarting');
        } else {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        expect(await container.request(op, fields)).toMatchObject({ ok: true });
        await container.reached('stopped');
        await new Promise((resolve) => setTimeout(resolve, 250));
        expect(statuses(container).at(-1)).toBe('stopped');
      });
    }
  }
});

test('while it waits: no pause, no join, no other signal, no removal without force; a start is at once', async () => {
  await withContainer({ args: ['sh', '-c', 'sleep 0.05; exit 4'], restart: always }, async (container) => {
    await container.request('start');
    await container.reached('restarting');
    expect(await container.request('pause')).toMatchObject({ ok: false, error: { errno: 3 } });
    expect(await container.request('join')).toMatchObject({ ok: false, error: { errno: 3 } });
    expect(await container.request('signal', { signal: 1 })).toMatchObject({ ok: false, error: { errno: 3 } });
    expect(await container.request('remove', { force: false })).toMatchObject({ ok: false, error: { errno: 16 } });
    expect(await container.request('start')).toMatchObject({ ok: true, state: { status: 'running', restartCount: 0 } });
  });
});

test('a restart that cannot start ends the policy, and says why', async () => {
  await withContainer({ args: ['/program'], restart: always }, async (container) => {
    const program = join(container.folder, 'upper', 'program');
    writeFileSync(program, '#!/bin/sh\necho ran\n>/program\nexit 3\n', { mode: 0o755 });
    await container.request('start');
    const end = await container.reached('stopped');
    expect(end).toMatchObject({ exitCode: 3, runs: 1, restartCount: 1, error: expect.stringContaining('exec') });
    expect(container.output().toString()).toBe('ran\n');
  });
});

test('a lifeline that is lost while it waits takes it along', async () => {
  const container = await NativeContainer.open(lower, { args: ['true'], restart: always });
  await container.request('start');
  await container.reached('restarting');
  container.control.close();
  await until('the supervisor has left', () => !isAlive(container.pid));
  removeFolder(container.folder);
});

test('a supervisor that is told to terminate does not count as somebody who stopped it', async () => {
  const container = await NativeContainer.start(lower, {
    args: ['sh', '-c', 'trap "exit 0" TERM; echo ready; while :; do sleep 0.05; done'],
    restart: { policy: 'unless-stopped' },
    detached: true,
  });
  await until('it is ready', () => container.output().toString() === 'ready\n');
  process.kill(container.pid, 'SIGTERM');
  await container.control.closed;
  const state = JSON.parse(readFileSync(join(container.folder, 'state.json'), 'utf8')) as object;
  expect(state).toMatchObject({ status: 'stopped', exitCode: 0 });
  expect(state).not.toHaveProperty('manuallyStopped');
  removeFolder(container.folder);
});

test('input that comes while it waits is for the next run', async () => {
  await withContainer({ args: ['head', '-n', '1'], restart: always, stdin: true }, async (container) => {
    await container.request('attach', { stdin: true });
    await container.request('start');
    await container.control.writeStdin(Buffer.from('one\n'));
    await container.reached('restarting');
    await container.control.writeStdin(Buffer.from('two\n'));
    const lines = () => readFileSync(container.logPath, 'utf8').match(/ (one|two)$/gm);
    await until('the second run has read it', () => lines()?.length === 2);
  });
});
