import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { busyboxImage, TestBed } from '../support/busybox';
import { randomImage } from '../support/random-image';

let bed: TestBed;
beforeEach(async () => {
  bed = await TestBed.make();
});
afterEach(async () => {
  await bed.remove();
});

const ids = async (): Promise<string[]> => (await bed.runtime.images()).map(({ id }) => id);

test('takes images without a name, or all that no container was made of', async () => {
  const [old, fresh] = [randomImage(1), randomImage(2)];
  await bed.add('moving:1', old);
  bed.registry.addImage('moving:1', fresh);
  await bed.runtime.pull(`${bed.registry.host}/moving:1`, { force: true });
  const dangling = await bed.runtime.images({ filters: { dangling: true } });
  expect(dangling.map(({ id }) => id)).toEqual([old.configDigest]);
  const pruned = await bed.runtime.prune({ images: true });
  expect(pruned).toMatchObject({ images: [old.configDigest], containers: [], volumes: [], networks: [] });
  expect(pruned.freedBytes).toBeGreaterThan(10_000);
  expect(await ids()).not.toContain(old.configDigest);
  const container = await bed.runtime.create(bed.busybox, { network: 'none' });
  expect((await bed.runtime.prune({ images: 'all' })).images).toEqual([fresh.configDigest]);
  await container.start();
  await container.close();
  expect(await ids()).toHaveLength(1);
});

test('takes containers that have ended and belong to nobody, and volumes that nobody has', async () => {
  const image = await bed.add('test/volumes:1', busyboxImage({ Volumes: { '/data': {} } }));
  const options = { network: 'none', detached: true } as const;
  const ended = await bed.runtime.run(image, { ...options, command: ['true'], mounts: ['mine:/mine'] });
  await ended.wait();
  const running = await bed.runtime.run(image, { ...options, command: ['sleep', '60'] });
  const owned = await bed.runtime.run(bed.busybox, { network: 'none', command: ['true'] });
  await owned.wait();
  const volumes = (): string[] => readdirSync(join(bed.root, 'volumes'));
  expect(volumes()).toHaveLength(3);
  // By default: no volumes. The image of a container that goes may go too.
  expect(await bed.runtime.prune()).toMatchObject({ containers: [ended.id], volumes: [], images: [] });
  expect((await owned.inspect()).status).toBe('exited');
  const anonymous = await bed.runtime.prune({ volumes: true });
  expect(anonymous.volumes).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
  expect(volumes()).toHaveLength(2);
  expect((await bed.runtime.prune({ volumes: 'all' })).volumes).toEqual(['mine']);
  expect((await running.inspect()).status).toBe('running');
  await running.remove({ force: true, volumes: true });
  expect(existsSync(join(bed.root, 'volumes/mine'))).toBe(false);
});

test('refuses what it does not know, before anything is touched', async () => {
  await expect(bed.runtime.prune({ networks: 'all' as never })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await expect(bed.runtime.prune({ images: 'some' as never })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await expect(bed.runtime.prune({ image: true } as never)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
});

test('images are filtered by name, by having one, and by which came before', async () => {
  await bed.add('team/one:1', randomImage(11));
  const found = await bed.runtime.images({ filters: { reference: `${bed.registry.host}/team/*` } });
  expect(found.map(({ references }) => references)).toEqual([[`${bed.registry.host}/team/one:1`]]);
  expect(await bed.runtime.images({ filters: { dangling: false } })).toHaveLength(2);
  expect(await bed.runtime.images({ filters: { before: bed.busybox } })).toEqual([]);
  await expect(bed.runtime.images({ filters: { since: 'nothing-here' } })).rejects.toMatchObject({
    code: 'ERR_IMAGE_NOT_FOUND',
  });
});
