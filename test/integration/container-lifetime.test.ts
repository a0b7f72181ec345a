import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { TestBed } from '../support/busybox';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const quiet = { network: 'none' } as const;

test('a detached container outlives its runtime and is found by name', async () => {
  const maker = bed.newRuntime();
  const made = await maker.run(bed.busybox, {
    ...quiet,
    name: 'stays',
    detached: true,
    labels: { kind: 'pet' },
    command: ['sh', '-c', 'echo begun; read x; exit 5'],
    openStdin: true,
  });
  await maker.close();
  const [listed] = await bed.runtime.containers({ filters: { label: 'kind=pet' } });
  expect(listed?.id).toBe(made.id);
  const found = await bed.runtime.container('stays');
  await found.close();
  expect((await found.inspect()).status).toBe('running');
  await expect(found.remove()).rejects.toMatchObject({ code: 'ERR_CONTAINER_RUNNING' });
  const waiting = found.wait();
  const attachment = await found.attach({ stdin: true });
  attachment.stdin.end('x\n');
  expect(await waiting).toMatchObject({ exitCode: 5 });
  await attachment.detach();

  expect((await found.inspect()).status).toBe('exited');
  expect(await bed.runtime.containers({ filters: { label: 'kind=pet' } })).toEqual([]);
  expect(await found.wait()).toMatchObject({ exitCode: 5 });
  await found.start();
  await found.waitFor({ log: 'begun' });
  await found.stop({ timeoutMs: 100 });
  expect((await found.wait()).exitCode).toBe(137);
  await found.remove({ volumes: true });
  await expect(bed.runtime.container('stays')).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
});

test('one that removes itself is gone at its end, and still tells how it ended', async () => {
  const container = await bed.runtime.create(bed.busybox, {
    ...quiet,
    detached: true,
    autoRemove: true,
    command: ['sh', '-c', 'echo last words; exit 4'],
  });
  const attachment = await container.attach();
  const ended = container.wait({ condition: 'next-exit' });
  let text = '';
  attachment.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const closed = new Promise((resolve) => attachment.stdout.once('close', resolve));
  await container.start();
  expect(await ended).toMatchObject({ exitCode: 4 });
  await closed;
  expect(text).toBe('last words\n');
  await attachment.detach();
  await container.wait({ condition: 'removed' }).catch(() => undefined);
  await expect(bed.runtime.container(container.id)).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
});

test('wait() tells how one that removes itself ended, also when it was gone before anybody waited', async () => {
  const options = { ...quiet, autoRemove: true, command: ['sh', '-c', 'exit 4'] };
  for (let round = 0; round < 20; round++) {
    const container = await bed.runtime.run(bed.busybox, options);
    // From at once to long after its end.
    await new Promise((resolve) => setTimeout(resolve, round * 5));
    expect(await container.wait()).toMatchObject({ exitCode: 4, signal: null });
  }
});

test('a killed supervisor takes its container along, and nobody makes up an exit code', async () => {
  const container = await bed.runtime.run(bed.busybox, { ...quiet, command: ['sleep', '1000'], detached: true });
  const { pid = 0 } = await container.inspect();
  expect(pid).toBeGreaterThan(0);
  process.kill(supervisorOf(container.id), 'SIGKILL');
  expect(await container.wait()).toMatchObject({ exitCode: null, error: expect.stringContaining('supervisor') });
  expect(await container.inspect()).toMatchObject({ status: 'exited', exitCode: null });
  // The kernel lets go of a dying supervisor's lock a moment before it kills what is in its pid namespace.
  for (const deadline = Date.now() + 2000; existsSync(`/proc/${pid}`) && Date.now() < deadline;) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  await container.remove({ volumes: true });
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
});

test('waiting for one that never started ends when its supervisor was killed', async () => {
  const container = await bed.runtime.create(bed.busybox, quiet);
  const waiting = container.wait();
  process.kill(supervisorOf(container.id), 'SIGKILL');
  expect(await waiting).toMatchObject({ exitCode: null, error: expect.stringContaining('supervisor') });
  await expect(container.start()).rejects.toMatchObject({ code: 'ERR_SUPERVISOR' });
  await container.close();
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
});

test('an owned container whose supervisor was killed is cleaned up by close()', async () => {
  const container = await bed.runtime.run(bed.busybox, { ...quiet, command: ['sleep', '1000'] });
  process.kill(supervisorOf(container.id), 'SIGKILL');
  await container.wait();
  await container.close();
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
});

test('several follow one log, from before the start to the end', async () => {
  const container = await bed.runtime.create(bed.busybox, {
    ...quiet,
    command: ['sh', '-c', 'for i in 1 2 3 4 5; do echo line $i; sleep 0.02; done; printf "no newline"'],
  });
  const follow = async (): Promise<string[]> => {
    const lines: string[] = [];
    for await (const { line, partial } of container.logs({ follow: true })) {
      lines.push(partial ? `${line}…` : line);
    }
    return lines;
  };
  const readers = [follow(), follow()];
  await container.start();
  const expected = ['line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'no newline…'];
  expect(await Promise.all(readers)).toEqual([expected, expected]);
  const tail: string[] = [];
  for await (const { line } of container.logs({ tail: 2 })) {
    tail.push(line);
  }
  expect(tail).toEqual(expected.slice(-2).map((line) => line.replace('…', '')));
  await container.close();
});

test('many at once, each with a name, id and end of its own', async () => {
  const results = await Promise.all(
    Array.from({ length: 12 }, (_, index) => bed.runtime.exec(bed.busybox, ['sh', '-c', `exit ${index}`], quiet)),
  );
  expect(results.map(({ exitCode }) => exitCode)).toEqual(Array.from({ length: 12 }, (_, index) => index));
});

test('paused processes stand still, and run again', async () => {
  const container = await bed.runtime.run(bed.busybox, { ...quiet, command: ['sleep', '1000'] });
  await container.pause();
  expect((await container.inspect()).status).toBe('paused');
  await container.unpause();
  expect((await container.inspect()).status).toBe('running');
  await container.close();
});

function supervisorOf(id: string): number {
  const state = join(bed.root, 'containers', id, 'state.json');
  const { supervisorPid } = JSON.parse(readFileSync(state, 'utf8')) as { supervisorPid: number };
  return supervisorPid;
}
