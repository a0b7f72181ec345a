import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { busyboxImage, TestBed } from '../support/busybox';

let bed: TestBed;
beforeEach(async () => {
  bed = await TestBed.make();
});
afterEach(async () => {
  await bed.remove();
});

const once = { network: 'none' } as const;

test('a volume is made with labels, listed, described and removed', async () => {
  const before = Date.now();
  const made = await bed.runtime.createVolume({ name: 'data', labels: { team: 'blue' } });
  expect(made.name).toBe('data');
  const path = join(bed.root, 'volumes/data/_data');
  const described = await made.inspect();
  expect(described).toEqual({
    name: 'data',
    path,
    created: expect.any(Date) as Date,
    labels: { team: 'blue' },
    anonymous: false,
    usedBy: [],
  });
  expect(described.created.getTime()).toBeGreaterThanOrEqual(before);
  writeFileSync(join(path, 'seed'), 'from the host');
  // As with Docker the second creation finds the first one's.
  const again = await bed.newRuntime().createVolume({ name: 'data', labels: { team: 'red' } });
  expect((await again.inspect()).labels).toEqual({ team: 'blue' });
  const { stdout } = await bed.runtime.exec(bed.busybox, ['cat', '/d/seed'], { ...once, mounts: ['data:/d'] });
  expect(stdout).toBe('from the host');
  await (await bed.runtime.volume('data')).remove();
  expect(existsSync(join(bed.root, 'volumes/data'))).toBe(false);
  await expect(made.inspect()).rejects.toMatchObject({ code: 'ERR_VOLUME_NOT_FOUND', details: { volume: 'data' } });
  await expect(made.remove()).rejects.toMatchObject({ code: 'ERR_VOLUME_NOT_FOUND' });
  await made.remove({ force: true });
  expect(readdirSync(join(bed.root, 'tmp'))).toEqual([]);
});

test('one without a name gets a long one, and is no container’s', async () => {
  const { name } = await bed.runtime.createVolume();
  expect(name).toMatch(/^[0-9a-f]{64}$/);
  await expect(bed.runtime.volume('missing')).rejects.toMatchObject({ code: 'ERR_VOLUME_NOT_FOUND' });
  for (const bad of ['../up', '', '.hidden', 'a/b', `a${'b'.repeat(255)}`]) {
    await expect(bed.runtime.createVolume({ name: bad })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await expect(bed.runtime.volume(bad)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  }
  await expect(bed.runtime.createVolume({ labels: { a: 1 as never } })).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
  });
  expect((await bed.runtime.volumes()).map((volume) => volume.name)).toEqual([name]);
});

test('a volume that a container has is not removed, whatever state it is in', async () => {
  const container = await bed.runtime.create(bed.busybox, { ...once, name: 'holder', mounts: ['kept:/d'] });
  const volume = await bed.runtime.volume('kept');
  expect((await volume.inspect()).usedBy).toEqual(['holder']);
  for (const force of [false, true]) {
    await expect(volume.remove({ force })).rejects.toMatchObject({
      code: 'ERR_VOLUME_IN_USE',
      details: { volume: 'kept', containers: ['holder'] },
    });
  }
  expect(existsSync(join(bed.root, 'volumes/kept/_data'))).toBe(true);
  await container.close();
  await volume.remove();
  expect(existsSync(join(bed.root, 'volumes/kept'))).toBe(false);
});

test('filters by name, label and by who has it; anonymous ones are told apart', async () => {
  const image = await bed.add('test/declares:1', busyboxImage({ Volumes: { '/data': {} } }));
  await bed.runtime.createVolume({ name: 'blue-one', labels: { team: 'blue' } });
  await bed.runtime.createVolume({ name: 'red-one', labels: { team: 'red' } });
  await bed.runtime.create(image, { ...once, mounts: ['red-one:/red'] });
  const names = async (filters: object): Promise<string[]> =>
    (await bed.runtime.volumes({ filters })).map(({ name }) => name);
  expect(await names({ name: 'one' })).toEqual(['blue-one', 'red-one']);
  expect(await names({ label: 'team' })).toEqual(['blue-one', 'red-one']);
  expect(await names({ name: ['blue', 'green'] })).toEqual(['blue-one']);
  // As in Docker all labels must be there.
  expect(await names({ label: ['team', 'team=blue'] })).toEqual(['blue-one']);
  expect(await names({ label: ['team=blue', 'team=green'] })).toEqual([]);
  expect(await names({ dangling: true })).toEqual(['blue-one']);
  const [anonymous, ...others] = await names({ dangling: false });
  expect(others).toEqual(['red-one']);
  expect(await (await bed.runtime.volume(anonymous!)).inspect()).toMatchObject({ anonymous: true });
  await expect(bed.runtime.volumes({ filters: { colour: 'blue' } as never })).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
  });
});

test('eight processes make one volume', async () => {
  const code = `say((await runtime.createVolume({ name: 'shared', labels: { from: String(given) } })).name);`;
  const started = Array.from({ length: 8 }, (_unused, index) => bed.child(code, index));
  for (const { ended } of started) expect(await ended).toEqual({ code: 0, output: 'shared\n' });
  const folder = join(bed.root, 'volumes/shared');
  expect(readdirSync(folder).sort()).toEqual(['_data', 'volume.json']);
  const { labels } = JSON.parse(readFileSync(join(folder, 'volume.json'), 'utf8')) as { labels: { from: string } };
  expect(Number(labels.from)).toBeLessThan(8);
});

test('one whose document was never written is a volume without labels', async () => {
  const volume = await bed.runtime.createVolume({ name: 'torn', labels: { a: 'b' } });
  writeFileSync(join(bed.root, 'volumes/torn/volume.json'), '');
  expect(await volume.inspect()).toMatchObject({ name: 'torn', labels: {}, anonymous: false });
  await volume.remove();
  expect(readdirSync(join(bed.root, 'volumes'))).toEqual([]);
});

test('what happens to volumes is told', async () => {
  const seen: string[] = [];
  const since = new Date();
  await (await bed.runtime.createVolume({ name: 'told' })).remove();
  await bed.runtime.exec(bed.busybox, ['true'], { ...once, mounts: ['made-by-run:/d'] });
  for await (const { action, id } of bed.runtime.events({ since, until: new Date(), filters: { type: 'volume' } })) {
    seen.push(`${action} ${id}`);
  }
  expect(seen).toEqual(['create told', 'destroy told', 'create made-by-run']);
});
