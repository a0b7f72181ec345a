import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { closeFd, exitStatus, socketpair } from '../../lib/native/binding';
import { ControlConnection } from '../../lib/native/control';
import { runTask, startTask } from '../../lib/native/task';
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

async function started(container: NativeContainer): Promise<number> {
  const reply = await container.request('start');
  expect(reply).toMatchObject({ ok: true, pid: expect.any(Number) });
  return Number((reply as { pid?: number }).pid);
}

describe('a container', () => {
  test('runs to its end: output, code and state', async () => {
    await withContainer({ args: ['sh', '-c', 'echo out; echo err >&2; printf tail; exit 3'] }, async (container) => {
      const pid = await started(container);
      const end = await container.reached('stopped');
      expect(end).toMatchObject({ status: 'stopped', exitCode: 3, pid: 0, oomKilled: false });
      expect(end['finishedAt']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
      expect(container.output('stdout').toString()).toBe('out\ntail');
      expect(container.output('stderr').toString()).toBe('err\n');
      expect(isAlive(pid)).toBe(false);
      const record = JSON.parse(readFileSync(join(container.folder, 'state.json'), 'utf8')) as object;
      expect(record).toMatchObject({ id: container.id, status: 'stopped', exitCode: 3 });
      // Taken down after the end was told.
      await until('its cgroup is gone', () => !existsSync(`/sys/fs/cgroup/unified${container.cgroupsPath}`));
    });
  });

  test('notes in the journal what happens to it, its end before anybody hears of it', async () => {
    await withContainer({ args: ['sleep', '100'] }, async (container) => {
      const record = { name: 'web', image: 'nginx', labels: { app: 'shop' } };
      writeFileSync(join(container.folder, 'container.json'), JSON.stringify(record));
      await started(container);
      await container.request('pause');
      await container.request('unpause');
      await container.request('stop', { timeoutMs: 1 });
      const lines = readFileSync(join(container.folder, 'events', 'journal'), 'utf8')
        .split('\n')
        .filter(Boolean);
      const events = lines.map((line) => JSON.parse(line) as { action: string; attributes: Record<string, string> });
      expect(events.map(({ action }) => action)).toEqual(['start', 'pause', 'unpause', 'kill', 'kill', 'die', 'stop']);
      expect(events[0]).toEqual({
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/),
        type: 'container',
        action: 'start',
        id: container.id,
        attributes: { app: 'shop', image: 'nginx', name: 'web' },
      });
      expect(events[3]?.attributes).toMatchObject({ signal: '15' });
      expect(events[4]?.attributes).toMatchObject({ signal: '9' });
      expect(events[5]?.attributes).toMatchObject({ exitCode: '137' });
    });
  });

  test('tells the pid that this process sees', async () => {
    await withContainer({ args: ['sleep', '100'] }, async (container) => {
      const pid = await started(container);
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toBe('sleep\x00100\x00');
      expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^NSpid:\t\d+\t\d+\t1$/m);
    });
  });

  test.each([
    [['no-such-command'], 127],
    [['/bin/no-such-command'], 127],
    [['/bin/not-executable'], 126],
    [['/etc'], 126],
  ])('%j cannot start, and nothing of the attempt stays', async (args, exitCode) => {
    await withContainer({ args }, async (container) => {
      const reply = await container.request('start');
      expect(reply).toMatchObject({ ok: false, error: { exitCode } });
      expect(await container.request('state')).toMatchObject({ state: { status: 'created', pid: 0 } });
      expect(existsSync(`/sys/fs/cgroup/unified${container.cgroupsPath}`)).toBe(false);
    });
  });

  test('starts again after its end', async () => {
    await withContainer({ args: ['sh', '-c', 'echo round; exit 0'] }, async (container) => {
      await started(container);
      await container.reached('stopped');
      container.events.length = 0;
      await started(container);
      await container.reached('stopped');
      expect(container.output().toString()).toBe('round\nround\n');
    });
  });

  test('says that it was killed for want of memory, and only then', async () => {
    const resources = { memory: { limit: 16 << 20, swap: 16 << 20 } };
    await withContainer({ args: ['sh', '-c', 'hog=$(yes | head -c 200000000)'], resources }, async (container) => {
      await started(container);
      expect(await container.reached('stopped')).toMatchObject({ exitCode: 137, signal: 9, oomKilled: true });
    });
    await withContainer({ args: ['sleep', '100'], resources }, async (container) => {
      const pid = await started(container);
      process.kill(pid, 'SIGKILL');
      expect(await container.reached('stopped')).toMatchObject({ exitCode: 137, signal: 9, oomKilled: false });
    });
  });

  test('is started once, however many ask for it', async () => {
    await withContainer({ args: ['sleep', '100'] }, async (container) => {
      const replies = await Promise.all([container.request('start'), container.request('start')]);
      replies.push(await container.request('start'));
      const { pid } = await container.reached('running');
      expect(replies.map((reply) => reply.ok && reply['pid'])).toEqual([pid, pid, pid]);
      expect(await container.request('state')).toMatchObject({ state: { runs: 1 } });
    });
  });

  test('ended while it is being started: whoever started it is told so, and nothing is left of it', async () => {
    await withContainer({ args: ['sleep', '100'] }, async (container) => {
      const [started, stopped] = await Promise.all([container.request('start'), container.request('stop')]);
      expect(started).toMatchObject({ ok: false, error: { step: 'start', errno: 3 } });
      expect(stopped).toMatchObject({ ok: true });
      expect(await container.request('state')).toMatchObject({ state: { status: 'created', pid: 0 } });
      expect(await container.request('start')).toMatchObject({ ok: true });
    });
  });

  test('inherits neither signals nor descriptors', async () => {
    // Not in a pipeline, whose pipe the shell would have open; and not as the last command, which would replace the shell.
    const script = 'grep -E "^Sig(Blk|Ign)" /proc/self/status; ls /proc/$$/fd; true';
    await withContainer({ args: ['sh', '-c', script] }, async (container) => {
      await started(container);
      await container.reached('stopped');
      expect(container.output().toString()).toBe('SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0\n1\n2\n');
    });
  });
});

describe('stop', () => {
  test('sends the signal and reports the exit', async () => {
    const script = 'trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done';
    await withContainer({ args: ['sh', '-c', script] }, async (container) => {
      await started(container);
      await until('it is ready', () => container.output().toString() === 'ready\n');
      expect(await container.request('stop')).toMatchObject({ ok: true });
      expect(await container.reached('stopped')).toMatchObject({ exitCode: 7 });
    });
  });

  test('kills what does not listen', async () => {
    await withContainer({ args: ['sh', '-c', 'trap "" TERM; while :; do sleep 0.05; done'] }, async (container) => {
      await started(container);
      const startedMs = Date.now();
      await container.request('stop', { timeoutMs: 200 });
      expect(Date.now() - startedMs).toBeGreaterThanOrEqual(190);
      expect(await container.reached('stopped')).toMatchObject({ exitCode: 137, signal: 9, oomKilled: false });
    });
  });

  test('ends a paused one', async () => {
    await withContainer({ args: ['sleep', '100'] }, async (container) => {
      await started(container);
      expect(await container.request('pause')).toMatchObject({ ok: true });
      await container.reached('paused');
      await container.request('stop', { timeoutMs: 100 });
      expect(await container.reached('stopped')).toMatchObject({ exitCode: 137 });
    });
  });

  test('ends everything, though a child holds the output open', async () => {
    await withContainer({ args: ['sh', '-c', 'sleep 100 & exit 3'] }, async (container) => {
      const startedMs = Date.now();
      await started(container);
      expect(await container.reached('stopped')).toMatchObject({ exitCode: 3 });
      expect(Date.now() - startedMs).toBeLessThan(3000);
    });
  });

  test('ends everything with the host pid namespace too', async () => {
    await withContainer({ args: ['sh', '-c', 'sleep 4242 & exit 3'], hostPid: true }, async (container) => {
      await started(container);
      expect(await container.reached('stopped')).toMatchObject({ exitCode: 3 });
      // What it had left behind is gone already, not only doomed.
      expect(existsSync(`/sys/fs/cgroup/unified${container.cgroupsPath}`)).toBe(false);
    });
  });
});

describe('stdin and terminal', () => {
  test('input before and after the start arrives in order, then its end', async () => {
    await withContainer({ args: ['cat'], stdin: true }, async (container) => {
      await container.request('attach', { stdin: true });
      await container.control.writeStdin(Buffer.from('before '));
      await started(container);
      await container.control.writeStdin(Buffer.alloc(1_000_000, 'x'));
      await container.control.endStdin();
      await container.reached('stopped');
      expect(container.output().toString()).toBe(`before ${'x'.repeat(1_000_000)}`);
    });
  });

  test('a terminal has the size that was asked for, and takes another', async () => {
    const script = 'stty size; trap "stty size; exit 0" WINCH; echo ready; while :; do sleep 0.05; done';
    await withContainer({ args: ['sh', '-c', script], terminal: true }, async (container) => {
      await started(container);
      await until('it is ready', () => container.output().toString().includes('ready'));
      expect(await container.request('resize', { columns: 132, rows: 50 })).toMatchObject({ ok: true });
      await container.reached('stopped');
      expect(container.output().toString()).toBe('24 80\r\nready\r\n50 132\r\n');
      expect(await container.request('resize', { columns: 60, rows: 9 })).toMatchObject({ ok: true });
      for (const columns of [-1, 65536, 1.5, '80', null, undefined]) {
        expect(await container.request('resize', { columns, rows: 1 })).toMatchObject({ ok: false });
      }
      await container.request('start');
      await until('the next run begins with it', () => container.output().toString().includes('9 60'));
    });
  });
});

describe('lifelines', () => {
  test('the container goes with its last holder, and everything of it', async () => {
    const [name, taken] = [join(shared, 'name'), join(shared, 'taken')];
    const container = await NativeContainer.open(lower, { args: ['sleep', '100'], release: [name, taken] });
    symlinkSync(container.id, name);
    // Another container has it by now.
    symlinkSync('f'.repeat(64), taken);
    const pid = await started(container);
    const second = await ControlConnection.connect(container.socket, { hold: true });
    expect(await second.request('state')).toMatchObject({ state: { status: 'running' } });
    container.control.close();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isAlive(pid)).toBe(true);
    second.close();
    await until('nothing is left', () => !isAlive(pid) && !isAlive(container.pid) && !existsSync(container.folder));
    expect(readdirSync(shared)).toEqual(['root', 'taken']);
    unlinkSync(taken);
  });

  test('a holder killed with SIGKILL takes it along', async () => {
    const container = await NativeContainer.open(lower, { args: ['sh', '-c', 'trap "" TERM; sleep 100'] });
    const pid = await started(container);
    const holder = spawn(process.execPath, ['-e', `
      const socket = require('net').connect(${JSON.stringify(container.socket)});
      const hello = Buffer.from(JSON.stringify({ version: 1, hold: true }));
      const header = Buffer.alloc(8);
      header.writeUInt32LE(hello.length); header.writeUInt16LE(1, 4);
      socket.write(Buffer.concat([header, hello]));
      socket.on('data', () => process.stdout.write('held'));
    `]); // prettier-ignore
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    container.control.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isAlive(pid)).toBe(true);
    holder.kill('SIGKILL');
    await until('nothing is left', () => !isAlive(pid) && !isAlive(container.pid) && !existsSync(container.folder));
  });

  test('a supervisor killed with SIGKILL takes it along', async () => {
    const container = await NativeContainer.start(lower, { args: ['sh', '-c', 'sleep 100 & sleep 100'] });
    const state = (await container.request('state')) as { state?: { pid: number } };
    process.kill(container.pid, 'SIGKILL');
    await container.control.closed;
    await until('the container is gone', () => !isAlive(state.state?.pid ?? 0) && !isAlive(container.pid));
    await until('it was waited for', () => exitStatus(container.pid)?.signal === 9);
    removeFolder(container.folder);
    expect(await runTask('clean', 'clean', { cgroups: [container.cgroupsPath] })).toMatchObject({ ok: true });
  });

  test('a detached one outlives its creator, and its supervisor leaves after its end', async () => {
    const container = await NativeContainer.start(lower, { args: ['sh', '-c', 'sleep 0.4; exit 5'], detached: true });
    const { pid } = container;
    container.control.close();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isAlive(pid)).toBe(true);
    await until('the supervisor has left', () => !isAlive(pid));
    const record = JSON.parse(readFileSync(join(container.folder, 'state.json'), 'utf8')) as object;
    expect(record).toMatchObject({ status: 'stopped', exitCode: 5 });
    expect(existsSync(container.socket)).toBe(false);
    removeFolder(container.folder);
  });

  test('a supervisor told to terminate stops the container as it should be, and keeps its folder', async () => {
    const script = 'trap "exit 6" TERM; echo ready; while :; do sleep 0.05; done';
    const container = await NativeContainer.start(lower, { args: ['sh', '-c', script], detached: true });
    await until('it is ready', () => container.output().toString() === 'ready\n');
    process.kill(container.pid, 'SIGTERM');
    await container.control.closed;
    const record = JSON.parse(readFileSync(join(container.folder, 'state.json'), 'utf8')) as object;
    expect(record).toMatchObject({ status: 'stopped', exitCode: 6 });
    removeFolder(container.folder);
  });

  test('autoRemove removes also a detached one', async () => {
    const container = await NativeContainer.start(lower, { args: ['true'], detached: true, autoRemove: true });
    await container.control.closed;
    expect(existsSync(container.folder)).toBe(false);
  });

  test('remove refuses a running one without force', async () => {
    await withContainer({ args: ['sleep', '100'] }, async (container) => {
      await started(container);
      expect(await container.request('remove', { force: false })).toMatchObject({ ok: false, error: { errno: 16 } });
    });
  });

  test('a tree is removed without following its links', async () => {
    const outside = join(shared, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'kept'), '');
    const container = await NativeContainer.open(lower, { args: ['true'] });
    symlinkSync(outside, join(container.folder, 'upper', 'link'));
    let deep = join(container.folder, 'upper');
    for (let i = 0; i < 150; i++) {
      deep = join(deep, 'deeper');
    }
    mkdirSync(deep, { recursive: true });
    await container.remove();
    expect(existsSync(container.folder)).toBe(false);
    expect(existsSync(join(outside, 'kept'))).toBe(true);
  });
});

describe('clients', () => {
  test('one that breaks the protocol is cut off, and nobody else', async () => {
    await withContainer({ args: ['sleep', '100'] }, async (container) => {
      await started(container);
      for (const garbage of [
        Buffer.alloc(64, 0xff),
        Buffer.from([5, 0, 0, 0, 2, 0, 0, 0, 1, 2, 3, 4, 5]),
        Buffer.from([0, 0, 0, 0, 9, 9, 0, 0]),
      ]) {
        const socket = connect(container.socket);
        socket.write(garbage);
        await new Promise((resolve) => socket.once('close', resolve).resume());
      }
      expect(await container.request('state')).toMatchObject({ state: { status: 'running' } });
      expect(await container.request('no-such-thing')).toMatchObject({ ok: false, error: { errno: 38 } });
    });
  });

  test('a creator that says nothing leaves nothing', async () => {
    const { pid, control } = startTask('supervise', { newPidNamespace: true });
    control.close();
    await until('it has ended', () => exitStatus(pid) !== undefined);
    const [ours, theirs] = socketpair();
    expect(ours).not.toBe(theirs);
    closeFd(ours);
    closeFd(theirs);
  });
});
