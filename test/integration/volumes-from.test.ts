import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Container } from '../../lib';
import { busyboxImage, TestBed } from '../support/busybox';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';
import { until } from '../support/until';

let bed: TestBed;
let image: string;
beforeEach(async () => {
  bed = await TestBed.make();
  image = await bed.add('test/with-volume:1', busyboxImage({ Volumes: { '/data': {} } }));
});
afterEach(async () => {
  await bed.remove();
});

const idle = { network: 'none', command: ['sleep', '1000'] };

const volumes = (): string[] => readdirSync(join(bed.root, 'volumes'));

async function inside(container: Container, script: string): Promise<string> {
  return (await container.exec(['sh', '-c', script], { check: true })).stdout;
}

test('gets what the other has: anonymous and named volumes and binds, but no tmpfs; its own mounts go first', async () => {
  const host = temporaryFolder('volumes-from');
  writeFileSync(join(host, 'file'), 'of the host');
  const mounts = [`${host}:/host`, 'named:/named', 'other:/own'];
  const base = await bed.runtime.run(image, { ...idle, name: 'base', mounts, tmpfs: ['/memory'] });
  await inside(base, 'echo a > /data/a; echo n > /named/n; echo m > /memory/m; echo o > /own/o');
  const taker = await bed.runtime.run(image, { ...idle, volumesFrom: ['base'], mounts: ['mine:/own'] });
  expect(await inside(taker, 'cat /data/a /named/n /host/file; ls /own; ls /memory || true')).toBe('a\nn\nof the host');
  await inside(taker, 'echo b > /data/b');
  expect(await inside(base, 'cat /data/b')).toBe('b\n');
  const { mounts: shown } = await taker.inspect();
  expect(shown.map(({ target, readOnly }) => [target, readOnly]).sort()).toEqual([
    ['/data', false],
    ['/host', false],
    ['/named', false],
    ['/own', false],
  ]);
  await taker.close();
  await base.close();
  expect(volumes().sort()).toEqual(['mine', 'named', 'other']);
  removeFolder(host);
});

test('read-only where it is asked for, and where the other has it so; of two the later one', async () => {
  const first = await bed.runtime.run(image, { ...idle, name: 'first', mounts: ['one:/v', 'locked:/locked:ro'] });
  const second = await bed.runtime.run(image, { ...idle, name: 'second', mounts: ['two:/v'] });
  await inside(first, 'echo 1 > /v/n');
  await inside(second, 'echo 2 > /v/n');
  const taker = await bed.runtime.run(image, { ...idle, volumesFrom: ['first:rw', 'second:ro'] });
  expect(
    await inside(taker, 'cat /v/n; touch /v/x 2>&1 || touch /locked/x 2>&1 || touch /data/x 2>&1 || true'),
  ).toMatch(/^2\n.*\/v\/x: Read-only.*\n.*\/locked\/x: Read-only.*\n.*\/data\/x: Read-only/);
  for (const container of [taker, first, second]) await container.close();
});

test('an anonymous volume goes with the last container that has it, whichever way they end', async () => {
  const base = await bed.runtime.run(image, { ...idle, name: 'base' });
  const options = { ...idle, volumesFrom: ['base'] };
  const removed = await bed.runtime.run(image, { ...options, detached: true });
  const auto = await bed.runtime.run(image, { ...options, detached: true, autoRemove: true });
  const owned = await bed.runtime.run(image, options);
  const [volume] = volumes();
  const folder = join(bed.root, 'volumes', volume!);
  const users = (): string[] => readdirSync(join(folder, 'users')).sort();
  expect(volumes()).toHaveLength(1);
  expect(users()).toEqual([base.id, removed.id, auto.id, owned.id].sort());
  await inside(base, 'echo kept > /data/file');
  await base.close();
  expect(await inside(owned, 'cat /data/file')).toBe('kept\n');
  await auto.stop({ timeoutMs: 0 });
  await until('it has removed itself', () => !users().includes(auto.id));
  expect(users()).toEqual([removed.id, owned.id].sort());
  // Without its volumes it leaves them all the same: the last one takes them along.
  await removed.remove({ force: true });
  expect(users()).toEqual([owned.id]);
  await owned.close();
  expect(volumes()).toEqual([]);
});

test('without its volumes removed the last one leaves the volume, with them it goes', async () => {
  const base = await bed.runtime.create(image, { ...idle, name: 'base', detached: true });
  const taker = await bed.runtime.create(image, { ...idle, volumesFrom: ['base'], detached: true });
  await base.remove({ volumes: true });
  expect(volumes()).toHaveLength(1);
  await taker.remove();
  expect(volumes()).toHaveLength(1);
  expect((await bed.runtime.prune({ volumes: true })).volumes).toHaveLength(1);
  const last = await bed.runtime.create(image, { ...idle, detached: true });
  await last.remove({ volumes: true });
  expect(volumes()).toEqual([]);
});

test('a killed supervisor and a killed creation leave nothing', async () => {
  const base = await bed.runtime.run(image, { ...idle, name: 'base' });
  const code = `const c = await runtime.run(given, { network: 'none', command: ['sleep', '1000'], volumesFrom: ['base'] });
    await new Promise(() => setInterval(() => {}, 1000));`;
  const [volume] = volumes();
  const folder = join(bed.root, 'volumes', volume!);
  const users = (): string[] => readdirSync(join(folder, 'users'));
  const { child, ended } = bed.child(code, image);
  await until('the child has its container', async () => (await bed.runtime.containers()).length === 2, 20_000);
  expect(users()).toHaveLength(2);
  child.kill('SIGKILL');
  await ended;
  await until('the container is gone', () => users().length === 1, 20_000);
  // As left by one that was killed between its volume and its record: long ago, without a lock.
  const id = 'c'.repeat(64);
  mkdirSync(join(bed.root, 'containers', id), { recursive: true });
  utimesSync(join(bed.root, 'containers', id), new Date(0), new Date(0));
  writeFileSync(join(folder, 'users', id), '');
  // Each process sweeps once, a little after its first call.
  const sweeper = bed.child('await runtime.containers(); await new Promise(() => setInterval(() => {}, 1000));');
  await until('it was swept', () => users().length === 1, 20_000);
  sweeper.child.kill('SIGKILL');
  await sweeper.ended;
  expect(users()).toEqual([base.id]);
  await base.close();
  expect(volumes()).toEqual([]);
});

test('refused before anything is made', async () => {
  await expect(bed.runtime.create(image, { ...idle, volumesFrom: ['nobody'] })).rejects.toMatchObject({
    code: 'ERR_CONTAINER_NOT_FOUND',
  });
  for (const bad of ['', ':ro', 'a:rx', 'a:ro:rw', 5 as never]) {
    await expect(bed.runtime.create(image, { ...idle, volumesFrom: [bad] })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      details: { option: expect.stringMatching(/^volumesFrom/) as string },
    });
  }
  const base = await bed.runtime.create(image, { ...idle, name: 'base' });
  const document = readFileSync(join(bed.root, 'containers', base.id, 'container.json'), 'utf8');
  // Somebody was the last, and removes it this very moment.
  const [volume] = volumes();
  rmSync(join(bed.root, 'volumes', volume!, 'users'), { recursive: true });
  await expect(bed.runtime.create(image, { ...idle, volumesFrom: ['base'] })).rejects.toMatchObject({
    code: 'ERR_VOLUME_NOT_FOUND',
    details: { option: 'volumesFrom', volume },
  });
  expect(existsSync(join(bed.root, 'volumes', volume!))).toBe(true);
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([base.id]);
  expect(readFileSync(join(bed.root, 'containers', base.id, 'container.json'), 'utf8')).toBe(document);
  await base.close();
  expect(volumes()).toEqual([]);
});
