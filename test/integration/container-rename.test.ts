import { existsSync, lstatSync, readdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import type { DinghyError } from '../../lib';
import { TestBed } from '../support/busybox';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const quiet = { network: 'none' } as const;
const sleeping = { ...quiet, command: ['sleep', '1000'] };
const names = (): string[] => readdirSync(join(bed.root, 'names')).sort();

test.each([
  ['running', { detached: false }],
  ['running and detached', { detached: true }],
])('one that is %s gets another name, for every process, and the old one is free', async (_state, options) => {
  const container = await bed.runtime.run(bed.busybox, { ...sleeping, ...options, name: 'before' });
  const seen = await bed.newRuntime().container('before');
  await seen.rename('after');
  expect(seen.name).toBe('after');
  expect(names()).toEqual(['after']);
  const other = bed.newRuntime();
  expect((await other.container('after')).id).toBe(container.id);
  expect((await container.inspect()).name).toBe('after');
  await expect(other.container('before')).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  const next = await other.create(bed.busybox, { ...quiet, name: 'before' });
  await next.close();
  await container.remove({ force: true });
  expect(names()).toEqual([]);
});

test('one that never ran, and one that has ended, keep the new name when they start', async () => {
  const container = await bed.runtime.create(bed.busybox, { ...sleeping, detached: true, name: 'first' });
  await container.rename('second');
  await container.start();
  await container.stop({ timeoutMs: 0 });
  await container.rename('third');
  expect((await bed.runtime.container('third')).id).toBe(container.id);
  await container.start();
  expect((await container.inspect()).name).toBe('third');
  expect(names()).toEqual(['third']);
  const renames: string[] = [];
  for await (const { attributes } of bed.runtime.events({
    until: new Date(),
    filters: { action: 'rename', container: container.id },
  })) {
    renames.push(`${attributes['oldName']} ${attributes['name']}`);
  }
  expect(renames).toEqual(['first second', 'second third']);
  await container.remove({ force: true });
  expect(names()).toEqual([]);
  await expect(container.rename('fourth')).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  expect(names()).toEqual([]);
});

test('a name in use, a bad one and its own are refused, and nothing has changed', async () => {
  const [left, right] = await Promise.all(
    ['left', 'right'].map((name) => bed.runtime.run(bed.busybox, { ...sleeping, name })),
  );
  await expect(left!.rename('right')).rejects.toMatchObject({
    code: 'ERR_NAME_IN_USE',
    message: expect.stringContaining(right!.id.slice(0, 12)),
  });
  await expect(left!.rename('left')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await expect(left!.rename('../escape')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  expect(names()).toEqual(['left', 'right']);
  expect((await left!.inspect()).name).toBe('left');
  await Promise.all([left!.close(), right!.close()]);
});

test('of several that want one name one gets it, whether by rename or by creation', async () => {
  const containers = await Promise.all(
    Array.from({ length: 4 }, () => bed.runtime.create(bed.busybox, { ...sleeping, detached: true })),
  );
  const before = names();
  const results = await Promise.all([
    ...containers.map((container) =>
      container.rename('wanted').then(
        () => 'got it',
        (error: DinghyError) => error.code,
      ),
    ),
    bed.runtime.create(bed.busybox, { ...quiet, name: 'wanted' }).then(
      async (made) => {
        await made.close();
        return 'got it';
      },
      (error: DinghyError) => error.code,
    ),
  ]);
  expect(results.filter((result) => result === 'got it').length).toBeGreaterThanOrEqual(1);
  const renamed = results.slice(0, 4).filter((result) => result === 'got it').length;
  expect(renamed).toBeLessThanOrEqual(1);
  expect(results.every((result) => ['got it', 'ERR_NAME_IN_USE'].includes(result))).toBe(true);
  expect(names()).toHaveLength(before.length);
  await Promise.all(containers.map((container) => container.remove()));
  expect(names()).toEqual([]);
});

test('what a killed process leaves of a rename is taken away, by who wants the name and by who sweeps', async () => {
  const container = await bed.runtime.create(bed.busybox, { ...sleeping, detached: true, name: 'steady' });
  const claim = (name: string): void => symlinkSync(container.id, join(bed.root, 'names', name));
  claim('claimed');
  await expect(bed.runtime.container('claimed')).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  const other = await bed.runtime.create(bed.busybox, { ...sleeping, name: 'claimed' });
  expect(readlinkSync(join(bed.root, 'names', 'claimed'))).toBe(other.id);
  await other.close();

  claim('claimed');
  claim('claimed-too');
  await container.rename('claimed');
  expect((await bed.runtime.container('claimed')).id).toBe(container.id);
  // Each process sweeps once, a little after it begins.
  const { ended } = bed.child('await runtime.containers(); await new Promise((resolve) => setTimeout(resolve, 500));');
  expect(await ended).toEqual({ code: 0, output: '' });
  expect(names()).toEqual(['claimed']);
  await container.remove();
});

test('processes killed while they rename leave one name that works, and none that is taken for ever', async () => {
  const container = await bed.runtime.run(bed.busybox, { ...sleeping, detached: true, name: 'n0' });
  const renaming = `
    const container = await runtime.container(given.id);
    say('ready');
    for (let i = 1; ; i++) await container.rename('n' + process.pid + '-' + i);`;
  for (let round = 0; round < 4; round++) {
    const { child, ended } = bed.child(renaming, { id: container.id });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    await new Promise((resolve) => setTimeout(resolve, 3 + 11 * round));
    child.kill('SIGKILL');
    await ended;
  }
  const { name } = await container.inspect();
  expect((await bed.runtime.container(name)).id).toBe(container.id);
  const sweeping = bed.child('await runtime.containers(); await new Promise((resolve) => setTimeout(resolve, 500));');
  expect(await sweeping.ended).toEqual({ code: 0, output: '' });
  expect(names()).toEqual([name]);
  expect(readdirSync(join(bed.root, 'tmp'))).toEqual([]);
  await container.remove({ force: true });
  expect(names()).toEqual([]);
  expect(existsSync(join(bed.root, 'containers', container.id))).toBe(false);
  expect(lstatSync(join(bed.root, 'names')).isDirectory()).toBe(true);
});
