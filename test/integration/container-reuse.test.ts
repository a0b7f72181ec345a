import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { CreateOptions } from '../../lib';
import { TestBed } from '../support/busybox';
import { until } from '../support/until';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const options = { network: 'none' as const, command: ['sleep', '1000'], stopTimeoutMs: 0 };
const containers = (): string[] => readdirSync(join(bed.root, 'containers'));
const keys = (): string[] => readdirSync(join(bed.root, 'reuse'));

const ask = `
  const container = await runtime.run(given.image, { ...given.options, reuse: 'shared' });
  say(container.id);
  await new Promise((resolve) => setTimeout(resolve, 60000));`;

test('of many processes that ask at once one makes it, all hold it, and it ends with the last, however they end', async () => {
  const children = Array.from({ length: 6 }, () => bed.child(ask, { image: bed.busybox, options }));
  const ids = await Promise.all(
    children.map(
      ({ child }) =>
        new Promise<string>((resolve) => child.stdout?.once('data', (data: Buffer) => resolve(String(data).trim()))),
    ),
  );
  expect(new Set(ids).size).toBe(1);
  expect(containers()).toEqual([ids[0]]);
  for (const { child, ended } of children) {
    expect((await (await bed.runtime.container(ids[0]!)).inspect()).status).toBe('running');
    child.kill('SIGKILL');
    await ended;
  }
  await until('it has gone with its last holder', () => containers().length === 0 && keys().length === 0);
}, 60_000);

test('close() lets this hold go; the last takes it along at once', async () => {
  const first = await bed.runtime.run(bed.busybox, { ...options, reuse: 'twice' });
  const second = await bed.runtime.run(bed.busybox, { ...options, reuse: 'twice' });
  const third = await bed.newRuntime().run(bed.busybox, { ...options, reuse: 'twice' });
  expect([second.id, third.id]).toEqual([first.id, first.id]);
  await first.close();
  await third.close();
  expect((await second.inspect()).status).toBe('running');
  const startedMs = performance.now();
  await second.close();
  expect(performance.now() - startedMs).toBeLessThan(900);
  expect([containers(), keys()]).toEqual([[], []]);
});

test('runtime.close() lets go what others hold', async () => {
  const maker = bed.newRuntime();
  const made = await maker.run(bed.busybox, { ...options, reuse: 'left' });
  const held = await bed.runtime.run(bed.busybox, { ...options, reuse: 'left' });
  await maker.close();
  expect(held.id).toBe(made.id);
  expect((await held.inspect()).status).toBe('running');
  await held.close();
  expect(containers()).toEqual([]);
});

test('other options for the same key are refused by name; how the call goes is no option of the container', async () => {
  const given = { ...options, reuse: 'same', env: { A: '1', B: '2' }, memory: '64m', labels: { app: 'x' } };
  const container = await bed.runtime.run(bed.busybox, given);
  const again = await bed.runtime.run(bed.busybox, {
    ...given,
    env: { B: '2', A: '1' },
    memory: 64 * 1024 * 1024,
    readOnly: false,
    pull: 'never',
    onPullProgress: () => undefined,
    signal: new AbortController().signal,
    waitFor: { exec: ['true'] },
  });
  expect(again.id).toBe(container.id);
  const differing: [string, CreateOptions][] = [
    ['env', { env: { A: '1', B: '3' } }],
    ['memory', { memory: '65m' }],
    ['labels', { labels: {} }],
    ['tty', { tty: true }],
    ['name', { name: 'named' }],
    ['detached', { detached: true }],
    ['files', { files: [{ path: '/x', content: 'y' }] }],
  ];
  for (const [option, more] of differing) {
    await expect(bed.runtime.run(bed.busybox, { ...given, ...more })).rejects.toMatchObject({
      code: 'ERR_REUSE_MISMATCH',
      message: expect.stringContaining(`made with another ${option}: give`),
      details: { option, key: 'same', container: container.id },
    });
  }
  expect(containers()).toEqual([container.id]);
  await expect(bed.runtime.run(bed.busybox, { ...given, reuse: '' })).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
  });
  await container.close();
  expect((await again.inspect()).status).toBe('running');
  await again.close();
  expect(containers()).toEqual([]);
});

test('stop() and remove() act for everybody, and who asks again gets a new one', async () => {
  const mine = await bed.runtime.run(bed.busybox, { ...options, reuse: 'all', name: 'the-one' });
  const theirs = await bed.newRuntime().run(bed.busybox, { ...options, reuse: 'all', name: 'the-one' });
  const ended = theirs.wait();
  await mine.stop({ timeoutMs: 0 });
  expect(await ended).toMatchObject({ exitCode: 137 });
  const next = await bed.runtime.run(bed.busybox, { ...options, reuse: 'all', name: 'the-one' });
  expect(next.id).not.toBe(mine.id);
  expect(next.name).toBe('the-one');
  await theirs.close();
  await mine.close();
  expect((await next.inspect()).status).toBe('running');
  await next.remove({ force: true });
  await expect(next.inspect()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  expect([containers(), keys()]).toEqual([[], []]);
});

test('without a name the ended one stays with those who hold it', async () => {
  const old = await bed.runtime.run(bed.busybox, { ...options, reuse: 'logs', command: ['echo', 'last words'] });
  await old.wait();
  const next = await bed.runtime.run(bed.busybox, { ...options, reuse: 'logs', command: ['echo', 'last words'] });
  expect(next.id).not.toBe(old.id);
  expect((await old.inspect()).status).toBe('exited');
  await old.close();
  expect(keys()).toHaveLength(1);
  await next.close();
  expect([containers(), keys()]).toEqual([[], []]);
});

test('detached, it stays, is found by the next, and survives one whose condition is not met', async () => {
  const detached = { ...options, detached: true, reuse: 'service' };
  const { ended } = bed.child(`say((await runtime.run(given.image, given.options)).id)`, {
    image: bed.busybox,
    options: detached,
  });
  const { code, output } = await ended;
  expect(code).toBe(0);
  const found = await bed.runtime.run(bed.busybox, detached);
  expect(found.id).toBe(output.trim());
  await found.close();
  const controller = new AbortController();
  const waiting = bed.runtime.run(bed.busybox, {
    ...detached,
    waitFor: { log: 'never' },
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(), 100);
  await expect(waiting).rejects.toMatchObject({ code: 'ABORT_ERR' });
  expect((await found.inspect()).status).toBe('running');
  await found.stop({ timeoutMs: 0 });
  const next = await bed.runtime.run(bed.busybox, detached);
  expect(next.id).not.toBe(found.id);
  expect(containers()).toEqual([next.id]);
  await next.remove({ force: true });
  expect([containers(), keys()]).toEqual([[], []]);
});

test('create() with a key makes one that run() starts', async () => {
  const created = await bed.runtime.create(bed.busybox, { ...options, reuse: 'made' });
  expect((await created.inspect()).status).toBe('created');
  const run = await bed.runtime.run(bed.busybox, { ...options, reuse: 'made' });
  expect(run.id).toBe(created.id);
  expect((await created.inspect()).status).toBe('running');
  await Promise.all([created.close(), run.close()]);
  expect(containers()).toEqual([]);
});

test('who asks while the last holder goes gets a running one, always', async () => {
  const shared = { ...options, reuse: 'handover', name: 'handover' };
  let holder = await bed.runtime.run(bed.busybox, shared);
  for (let round = 0; round < 12; round++) {
    const before = holder;
    const [, next] = await Promise.all([
      new Promise((resolve) => setTimeout(resolve, round)).then(() => before.close()),
      bed.runtime.run(bed.busybox, shared),
    ]);
    expect((await next.inspect()).status).toBe('running');
    holder = next;
  }
  await holder.close();
  expect([containers(), keys(), readdirSync(join(bed.root, 'names'))]).toEqual([[], [], []]);
});

test('a maker killed at any moment leaves nothing that keeps the next from having it', async () => {
  for (let round = 0; round < 8; round++) {
    const { child, ended } = bed.child(ask, { image: bed.busybox, options });
    await new Promise((resolve) => setTimeout(resolve, 60 + 12 * round));
    child.kill('SIGKILL');
    await ended;
    const container = await bed.runtime.run(bed.busybox, { ...options, reuse: 'shared' });
    expect((await container.inspect()).status).toBe('running');
    await container.close();
  }
  // What the last of them was making is swept by whoever comes next.
  for (const deadline = Date.now() + 15_000; containers().length > 0 && Date.now() < deadline;) {
    await bed.runtime.containers({ all: true });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect([containers(), keys()]).toEqual([[], []]);
}, 60_000);
