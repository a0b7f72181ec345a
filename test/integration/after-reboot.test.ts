import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Container, CreateOptions, RuntimeEvent } from '../../lib';
import { TestBed } from '../support/busybox';
import { until } from '../support/until';

let bed: TestBed;
let bystander: ChildProcess;
const signals: string[] = [];
beforeAll(async () => {
  bed = await TestBed.make();
  // It tells of every signal that it gets, except the two that nobody can.
  const program = `
    for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGCONT']) process.on(name, console.log);
    console.log('ready'); setInterval(() => {}, 1000);`;
  bystander = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => bystander.stdout?.once('data', resolve));
  bystander.stdout?.on('data', (data: Buffer) => signals.push(data.toString()));
});
afterAll(async () => {
  bystander.kill('SIGKILL');
  await bed.remove();
});

const sleeping: CreateOptions = { network: 'none', detached: true, command: ['sleep', '1000'] };

interface State {
  status: string;
  pid: number;
  supervisorPid: number;
  bootId: string;
}

const statePath = (id: string): string => join(bed.root, 'containers', id, 'state.json');
const readState = (id: string): State => JSON.parse(readFileSync(statePath(id), 'utf8')) as State;

/** What a power cut leaves: no process, no run-time folder, and a state that says that it runs, with pids that are others' by now. */
async function cutPower(containers: readonly Container[]): Promise<void> {
  for (const { id } of containers) {
    const { supervisorPid, pid } = readState(id);
    process.kill(supervisorPid, 'SIGKILL');
    await until('it is dead', () => !existsSync(`/proc/${supervisorPid}`) && !existsSync(`/proc/${pid}`));
    const foreign = {
      pid: bystander.pid,
      supervisorPid: bystander.pid,
      bootId: '00000000-0000-4000-8000-000000000000',
    };
    writeFileSync(statePath(id), JSON.stringify({ ...readState(id), status: 'running', ...foreign }));
    rmSync(join(bed.state, id.slice(0, 12)), { recursive: true });
  }
}

const aliveAndUntouched = (): boolean => existsSync(`/proc/${bystander.pid}`) && signals.length === 0;

test('of one that ran at a power cut nothing is signalled, nothing made up, and it starts again', async () => {
  const container = await bed.runtime.run(bed.busybox, { ...sleeping, name: 'survivor' });
  await cutPower([container]);
  const found = await bed.newRuntime().container('survivor');
  const seen = await found.inspect();
  expect(seen).toMatchObject({
    status: 'exited',
    exitCode: null,
    error: expect.stringContaining('host was started anew'),
  });
  expect(seen).not.toHaveProperty('pid');
  expect(seen).not.toHaveProperty('finishedAt');
  expect(await found.wait()).toMatchObject({ exitCode: null, signal: null, error: expect.stringContaining('anew') });
  for (const act of [
    () => found.kill('SIGTERM'),
    () => found.kill(),
    () => found.pause(),
    () => found.exec(['true']),
    () => found.top(),
    () => found.waitFor({ port: 80 }, { timeoutMs: 1000 }),
  ]) {
    await expect(act()).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_CONTAINER_(NOT_RUNNING|EXITED)$/),
    });
  }
  await found.stop();
  expect(aliveAndUntouched()).toBe(true);

  await found.start();
  const again = await found.inspect();
  expect(again.status).toBe('running');
  expect(again.pid).not.toBe(bystander.pid);
  expect((await found.exec(['echo', 'well'])).stdout).toBe('well\n');
  await found.remove({ force: true });
  expect(aliveAndUntouched()).toBe(true);
});

test('it is removed without a signal to anybody, by force too', async () => {
  const container = await bed.runtime.run(bed.busybox, sleeping);
  await cutPower([container]);
  await container.remove({ force: true });
  expect(existsSync(join(bed.root, 'containers', container.id))).toBe(false);
  expect(aliveAndUntouched()).toBe(true);
});

test('whoever comes next tells of the end once, and takes the rest down', async () => {
  const since = new Date();
  const container = await bed.runtime.run(bed.busybox, sleeping);
  await cutPower([container]);
  const sweep = 'await runtime.containers(); await new Promise((resolve) => setTimeout(resolve, 500));';
  expect(await bed.child(sweep).ended).toEqual({ code: 0, output: '' });
  expect(await bed.child(sweep).ended).toEqual({ code: 0, output: '' });
  const found: RuntimeEvent[] = [];
  for await (const event of bed.runtime.events({
    since,
    until: new Date(),
    filters: { container: container.id, action: 'die' },
  })) {
    found.push(event);
  }
  expect(found.map(({ attributes }) => attributes)).toEqual([
    expect.objectContaining({ error: expect.stringContaining('anew') }),
  ]);
  expect(found[0]?.attributes).not.toHaveProperty('exitCode');
  expect(await container.inspect()).toMatchObject({ status: 'exited', exitCode: null });
  expect(existsSync(`/sys/fs/cgroup/unified/dinghy/${container.id}`)).toBe(false);
  expect(existsSync(`/sys/fs/cgroup/dinghy/${container.id}`)).toBe(false);
  await container.remove();
});

test('restore() starts by restart policy, and not what a user had stopped', async () => {
  const make = async (name: string, more: CreateOptions): Promise<Container> =>
    bed.runtime.run(bed.busybox, { ...sleeping, name, ...more });
  const running = await Promise.all([
    make('no', {}),
    make('always', { restart: 'always' }),
    make('unless', { restart: 'unless-stopped' }),
    make('failure', { restart: 'on-failure' }),
    make('itself', { autoRemove: true }),
  ]);
  const stopped = await Promise.all([
    make('always-stopped', { restart: 'always' }),
    make('unless-user', { restart: 'unless-stopped' }),
    make('failure-stopped', { restart: 'on-failure' }),
  ]);
  const never = await bed.runtime.create(bed.busybox, { ...sleeping, name: 'never', restart: 'always' });
  const living = await make('living', { restart: 'always' });
  await Promise.all(stopped.map((container) => container.stop({ timeoutMs: 0 })));
  await cutPower(running);
  rmSync(join(bed.state, 'events'), { recursive: true });

  const { code, output } = await bed.child(`
    const { started, removed, failed } = await runtime.restore();
    say({ started: started.map(({ name }) => name).sort(), removed: removed.map(({ name }) => name), failed });`).ended;
  expect({ code, ...(JSON.parse(output) as object) }).toEqual({
    code: 0,
    started: ['always', 'always-stopped', 'failure', 'unless'],
    removed: ['itself'],
    failed: [],
  });
  const statuses: Record<string, string> = {};
  for (const container of await bed.runtime.containers({ all: true })) {
    statuses[container.name] = (await container.inspect()).status;
  }
  expect(statuses).toEqual({
    no: 'exited',
    always: 'running',
    unless: 'running',
    failure: 'running',
    'always-stopped': 'running',
    'unless-user': 'exited',
    'failure-stopped': 'exited',
    never: 'created',
    living: 'running',
  });
  expect(aliveAndUntouched()).toBe(true);
  await Promise.all(
    [...running.slice(0, 4), ...stopped, never, living].map((container) => container.remove({ force: true })),
  );
});

test('one that cannot be started keeps no other from it', async () => {
  const [broken, sound] = await Promise.all(
    ['broken', 'sound'].map((name) => bed.runtime.run(bed.busybox, { ...sleeping, name, restart: 'always' })),
  );
  await cutPower([broken!, sound!]);
  const config = join(bed.root, 'containers', broken!.id, 'config.json');
  writeFileSync(config, readFileSync(config, 'utf8').replace('"sleep"', '"no-such-program"'));
  const { started, failed } = await bed.newRuntime().restore();
  expect(started.map(({ name }) => name)).toEqual(['sound']);
  expect(failed).toMatchObject([{ name: 'broken', error: { code: 'ERR_COMMAND_NOT_FOUND' } }]);
  await Promise.all([broken!, sound!].map((container) => container.remove({ force: true })));
});

test('a pid that another process has by now gets nothing of what was meant for the container', async () => {
  const container = await bed.runtime.run(bed.busybox, {
    ...sleeping,
    command: ['sh', '-c', 'read x'],
    openStdin: true,
  });
  const { pid = 0 } = await container.inspect();
  const attachment = await container.attach({ stdin: true });
  attachment.stdin.end('x\n');
  await container.wait();
  await attachment.detach();
  const victim = await takePid(pid);
  try {
    for (const name of ['SIGTERM', 'SIGKILL']) {
      await expect(container.kill(name)).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
    }
    await expect(container.exec(['true'])).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
    await container.stop({ timeoutMs: 0 });
    await container.remove({ force: true });
    expect(victim.exitCode).toBeNull();
    expect(victim.signalCode).toBeNull();
    expect(existsSync(`/proc/${pid}`)).toBe(true);
  } finally {
    victim.kill('SIGKILL');
    await new Promise((resolve) => victim.once('close', resolve));
  }
});

/** A process that has just this pid: the kernel gives the next free one after ns_last_pid. Others fork too, hence several tries. */
async function takePid(pid: number): Promise<ChildProcess> {
  for (let attempt = 0; attempt < 500; attempt++) {
    writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
    const child = spawn('/usr/bin/sleep', ['100']);
    if (child.pid === pid) {
      return child;
    }
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
  }
  throw new Error(`nobody could be given pid ${pid}`);
}
