import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { pullImage } from '../../lib/pull/pull';
import { Store } from '../../lib/store/store';
import { busyboxImage, TestBed } from '../support/busybox';
import { buildImage, buildLayer, randomImage } from '../support/random-image';
import { TestRegistry } from '../support/registry';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

let registry: TestRegistry;
let folder: string;
let store: Store;

beforeAll(async () => {
  registry = await TestRegistry.start();
});
afterAll(() => registry.stop());
beforeEach(() => {
  registry.reset();
  folder = temporaryFolder('collect');
  store = new Store({ root: join(folder, 'root') });
});
afterEach(async () => {
  await store.close();
  removeFolder(folder);
});

const pull = (name: string, image: ReturnType<typeof randomImage>): ReturnType<typeof pullImage> =>
  pullImage(registry.addImage(name, image), { store, registry: { env: { HOME: folder } } });

const lockFiles = (): string[] =>
  readdirSync(store.paths.locks)
    .filter((name) => name.includes('-'))
    .sort();

const content = async (): Promise<string[]> =>
  [...(await store.blobs.list()), ...(await store.layers.list()), ...readdirSync(store.paths.fixes)].sort();

it('takes what no image needs, and what images share only with the last of them', async () => {
  const shared = buildLayer([{ name: 'shared', content: 's' }]);
  const [left, right] = ['left', 'right'].map((name) => buildImage([shared, buildLayer([{ name, content: name }])]));
  await pull('left:1', left!);
  const before = await content();
  const locksBefore = lockFiles();
  expect(locksBefore).toEqual(
    expect.arrayContaining(left!.layers.map(({ diffId }) => diffId.replace('sha256:', 'layer-'))),
  );
  await pull('right:1', right!);
  expect(lockFiles().length).toBeGreaterThan(locksBefore.length);
  await store.references.removeManifests(new Set([right!.digest]));
  expect(await store.collect()).toBeGreaterThan(right!.layers[1]!.blob.length);
  expect(await content()).toEqual(before);
  expect(lockFiles()).toEqual(locksBefore);
  await store.references.removeManifests(new Set([left!.digest]));
  await store.collect();
  expect(await content()).toEqual([]);
  expect(lockFiles()).toEqual([]);
  expect(readdirSync(store.paths.temporary)).toEqual([]);
});

it('leaves what a lease holds, until it ends', async () => {
  const image = randomImage(3);
  const pulled = await pull('app:1', image);
  const lease = await store.lease();
  await lease.hold([...image.blobs.keys(), image.digest, ...pulled.layers, ...pulled.chain]);
  const before = await content();
  await store.references.removeManifests(new Set([image.digest]));
  const other = new Store({ root: store.paths.root });
  await other.open();
  expect(await other.collect()).toBe(0);
  await other.close();
  expect(await content()).toEqual(before);
  await lease.release();
  await store.collect();
  expect(await content()).toEqual([]);
});

it('takes only what it is told to, after a failed pull', async () => {
  const image = randomImage(4);
  await pull('app:1', image);
  await store.references.removeManifests(new Set([image.digest]));
  const [first] = image.layers;
  await store.collect({ only: new Set([first!.digest]) });
  expect(existsSync(store.blobs.path(first!.digest))).toBe(false);
  expect(await store.layers.list()).toHaveLength(2);
});

it('takes nothing while an image is damaged, for what it named is not known', async () => {
  const [whole, damaged] = [randomImage(5), randomImage(6)];
  await pull('whole:1', whole);
  await pull('damaged:1', damaged);
  writeFileSync(store.blobs.path(damaged.digest), 'flipped');
  await store.references.removeManifests(new Set([whole.digest]));
  const before = await content();
  expect(await store.collect()).toBe(0);
  expect(await content()).toEqual(before);
});

it('leaves a container what it stands on, and what that can be made of again', async () => {
  const bed = await TestBed.make();
  try {
    const image = await bed.runtime.image(
      await bed.add('test/top:1', busyboxImage({}, [{ name: 'etc/top', content: 'top' }])),
    );
    const container = await bed.runtime.run(image, { network: 'none', command: ['sleep', '60'] });
    await expect(image.remove()).rejects.toMatchObject({ code: 'ERR_IMAGE_IN_USE' });
    await image.remove({ force: true });
    await expect(bed.runtime.image(image.id)).rejects.toMatchObject({ code: 'ERR_IMAGE_NOT_FOUND' });
    expect((await container.exec(['cat', '/etc/top'])).stdout).toBe('top');
    const kept = new Store({ root: bed.root });
    expect(await kept.blobs.list()).toContain(image.id);
    for (const diffId of image.layers) {
      const layer = await kept.layers.get(diffId);
      expect(await kept.blobs.list()).toContain(layer?.blob.digest);
    }
    await container.close();
    await kept.collect();
    expect(await kept.layers.list()).toHaveLength(1);
  } finally {
    await bed.remove();
  }
});
