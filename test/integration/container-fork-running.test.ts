import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Container, CreateOptions } from '../../lib';
import { busyboxImage, TestBed } from '../support/busybox';
import { seededRandom } from '../support/random-image';
import { until } from '../support/until';

let bed: TestBed;
let withVolume: string;
beforeAll(async () => {
  bed = await TestBed.make();
  withVolume = await bed.add(
    'test/data:1',
    busyboxImage({ Volumes: { '/data': {} } }, [
      { name: 'data/', type: '5', mode: 0o750, uid: 1000, gid: 50 },
      { name: 'data/seed', content: 'of the image' },
    ]),
  );
});
afterAll(async () => {
  await bed.remove();
});

const quiet: CreateOptions = { network: 'none', command: ['sleep', '1000'] };

const namesIn = (folder: string): string[] =>
  existsSync(join(bed.root, folder)) ? readdirSync(join(bed.root, folder)) : [];

async function sh(container: Container, script: string): Promise<string> {
  return (await container.exec(['sh', '-c', script], { check: true })).stdout.trim();
}

/** Nothing of what forks stand on is left, and nothing of copies. */
function expectNoLayers(): void {
  expect({ frozen: namesIn('frozen'), tmp: namesIn('tmp'), volumes: namesIn('volumes') }).toEqual({
    frozen: [],
    tmp: [],
    volumes: [],
  });
}

test('a fork of a running one has its files, and what either changes from then on is its own', async () => {
  const base = await bed.runtime.run(withVolume, quiet);
  await sh(base, 'echo base > /a; rm /etc/group; echo 1 > /data/row; rm /data/seed; ln /data/row /data/again');
  const before = readFileSync(join(bed.root, 'containers', base.id, 'config.json'), 'utf8');
  const fork = await base.fork();
  expect(readFileSync(join(bed.root, 'containers', base.id, 'config.json'), 'utf8')).toBe(before);
  expect(
    await sh(fork, 'cat /a /data/row; ls /data; stat -c "%a %u %g" /data; stat -c %h /data/row; test ! -e /etc/group'),
  ).toBe('base\n1\nagain\nrow\n750 1000 50\n2');
  // Above a layer, as above an image's, a name that is written to is a file of its own.
  await sh(fork, 'echo fork > /a; echo 2 > /data/row; mv /data/again /data/moved');
  await sh(base, 'echo later > /a; echo 3 >> /data/row');
  expect(await sh(fork, 'cat /a /data/row; ls /data')).toBe('fork\n2\nmoved\nrow');
  expect(await sh(base, 'cat /a /data/row; ls /data')).toBe('later\n1\n3\nagain\nrow');
  // Each of them, once more, from what has layers of its own.
  const grandchild = await fork.fork();
  await base.close();
  await fork.close();
  expect(await sh(grandchild, 'cat /a /data/row /data/moved; ls /data')).toBe('fork\n2\n1\nmoved\nrow');
  await grandchild.restart({ timeoutMs: 0 });
  expect(await sh(grandchild, 'cat /a')).toBe('fork');
  await grandchild.close();
  expectNoLayers();
});

test('it is of one moment, root and volume alike, and the base goes on', async () => {
  const count = 'i=0; while :; do i=$((i+1)); echo $i > /t; mv /t /a; echo $i > /data/t; mv /data/t /data/b; done';
  const base = await bed.runtime.run(withVolume, {
    ...quiet,
    command: ['sh', '-c', count],
    waitFor: { exec: ['test', '-e', '/data/b'] },
  });
  for (let round = 0; round < 5; round++) {
    const fork = await base.fork({ command: ['sleep', '1000'], waitFor: [] });
    const [first, second] = (await sh(fork, 'cat /a /data/b')).split('\n').map(Number);
    expect([0, 1]).toContain(first! - second!);
    const now = Number(await sh(base, 'cat /a'));
    expect(now).toBeGreaterThanOrEqual(first!);
    await until('the base goes on', async () => Number(await sh(base, 'cat /a')) > now);
    await fork.close();
  }
  expect((await base.inspect()).status).toBe('running');
  await base.close();
  expectNoLayers();
});

test('a base that its user has paused stays so', async () => {
  const base = await bed.runtime.run(bed.busybox, { ...quiet });
  await sh(base, 'echo base > /a');
  await base.pause();
  const fork = await base.fork();
  expect(await sh(fork, 'cat /a')).toBe('base');
  expect((await base.inspect()).status).toBe('paused');
  await base.unpause();
  await Promise.all([base, fork].map((each) => each.close()));
  expectNoLayers();
});

test('what is not new makes no layer', async () => {
  const base = await bed.runtime.run(withVolume, quiet);
  const fork = await base.fork();
  // The volume was filled from the image, and the root has places for the mounts: that is the base's own.
  const layers = namesIn('frozen');
  expect(layers).toHaveLength(2);
  const grandchild = await fork.fork();
  expect(await sh(grandchild, 'cat /data/seed')).toBe('of the image');
  expect(namesIn('frozen')).toEqual(layers);
  await sh(fork, 'echo new > /data/new');
  const sibling = await fork.fork();
  expect(namesIn('frozen')).toHaveLength(3);
  expect(await sh(sibling, 'cat /data/seed /data/new')).toBe('of the imagenew');
  await Promise.all([base, fork, grandchild, sibling].map((each) => each.close()));
  expectNoLayers();
});

test('a volume that another container has too is an error, and an abort leaves nothing', async () => {
  const base = await bed.runtime.run(withVolume, quiet);
  const volume = (await base.inspect()).mounts[0]!.name!;
  const guest = await bed.runtime.create(bed.busybox, { ...quiet, name: 'guest', mounts: [`${volume}:/theirs`] });
  await expect(base.fork()).rejects.toMatchObject({ code: 'ERR_VOLUME_IN_USE', details: { containers: ['guest'] } });
  await guest.close();
  await sh(base, 'for i in $(seq 1 200); do head -c 50000 /dev/urandom > /data/$i; done');
  for (const delayMs of [0, 2, 10, 30]) {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), delayMs);
    const fork = await base.fork({ signal: stop.signal }).catch((error: { code?: string }) => error.code);
    if (typeof fork === 'string' || fork === undefined) expect(fork).toBe('ABORT_ERR');
    else await fork.close();
  }
  expect(await sh(base, 'ls /data | wc -l')).toBe('201');
  expect((await bed.runtime.containers({ all: true })).map(({ id }) => id)).toEqual([base.id]);
  await base.close();
  expectNoLayers();
});

test('a process killed while it forks leaves the base running, and nothing else', async () => {
  const base = await bed.runtime.run(withVolume, { ...quiet, detached: true });
  await sh(base, 'for i in $(seq 1 100); do head -c 100000 /dev/urandom > /data/$i; done');
  const random = seededRandom(20261125);
  for (let round = 0; round < 8; round++) {
    const { child, ended } = bed.child(
      `const base = await runtime.container(given.id);
       say('forking');
       for (;;) await (await base.fork({ detached: false })).close();`,
      { id: base.id },
    );
    await new Promise<void>((resolve) => child.stdout!.once('data', () => resolve()));
    await new Promise((resolve) => setTimeout(resolve, random() * 120));
    child.kill('SIGKILL');
    await ended;
    // Whatever it was in the middle of, the base does not stand still.
    expect(await sh(base, 'echo $((6 * 7))')).toBe('42');
  }
  await base.remove({ force: true, volumes: true });
  await until('the forks are gone', async () => (await bed.newRuntime().containers({ all: true })).length === 0);
  await until('what they left is swept', async () => {
    await bed.runtime.prune({ containers: true });
    const other = bed.newRuntime();
    await other.images();
    await other.close();
    return namesIn('tmp').length === 0;
  });
  expectNoLayers();
});
