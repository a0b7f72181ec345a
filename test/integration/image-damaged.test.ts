import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Image } from '../../lib';
import { busyboxImage, TestBed } from '../support/busybox';
import { randomImage } from '../support/random-image';

let bed: TestBed;
let reference: string;
let image: Image;
const before: string[] = [];

beforeAll(async () => {
  bed = await TestBed.make();
  before.push(...content());
});
afterAll(async () => {
  await bed.remove();
});
beforeEach(async () => {
  reference = await bed.add('test/doomed:1', randomImage(7));
  image = await bed.runtime.image(reference);
});
afterEach(async () => {
  for (const { references, digest } of await bed.runtime.damagedImages()) {
    await bed.runtime.removeImage(references[0] ?? digest, { force: true });
  }
  expect(content()).toEqual(before);
});

/** Names of all blobs, layers and fix layers. */
function content(): string[] {
  return ['blobs/sha256', 'layers', 'fixes'].flatMap((name) => readdirSync(join(bed.root, name))).sort();
}

const blob = (digest: string): string => join(bed.root, 'blobs/sha256', digest.slice(7));
const remove = (digest: string): void => rmSync(blob(digest));
const flip = (digest: string): void => writeFileSync(blob(digest), 'not what it was');

const damages: [string, () => void, { idKnown: boolean }][] = [
  ['a deleted manifest', () => remove(image.digest), { idKnown: false }],
  ['a flipped manifest', () => flip(image.digest), { idKnown: false }],
  ['a deleted config', () => remove(image.id), { idKnown: true }],
  ['a flipped config', () => flip(image.id), { idKnown: true }],
];

describe.each(damages)('an image with %s', (_what, damage, { idKnown }) => {
  beforeEach(() => damage());

  test('is told of, cannot be used, and goes by force with all that only it had', async () => {
    expect((await bed.runtime.images()).map(({ id }) => id)).not.toContain(image.id);
    expect(await bed.runtime.damagedImages()).toEqual([
      {
        digest: image.digest,
        ...(idKnown ? { id: image.id } : {}),
        references: [reference],
        reason: expect.stringContaining(idKnown ? image.id : image.digest),
      },
    ]);
    await expect(bed.runtime.image(reference)).rejects.toMatchObject({ code: 'ERR_STORE' });
    await expect(bed.runtime.removeImage(reference)).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('force'),
    });
    expect(await bed.runtime.removeImage(reference, { force: true })).toMatchObject({
      untagged: [reference],
      deleted: [idKnown ? image.id : image.digest],
    });
    await expect(bed.runtime.image(reference)).rejects.toMatchObject({ code: 'ERR_IMAGE_NOT_FOUND' });
  });

  test('is found by the digest of its manifest', async () => {
    await expect(bed.runtime.image(image.digest)).rejects.toMatchObject({ code: 'ERR_STORE' });
    const start = image.digest.slice(7, 30);
    expect(await bed.runtime.removeImage(start, { force: true })).toMatchObject({ untagged: [reference] });
  });

  test('is found by its id as long as the manifest tells it', async () => {
    const asked = bed.runtime.removeImage(image.id.slice(7, 19), { force: true });
    if (idKnown) {
      expect(await asked).toMatchObject({ untagged: [reference], deleted: [image.id] });
    } else {
      await expect(asked).rejects.toMatchObject({
        code: 'ERR_IMAGE_NOT_FOUND',
        message: expect.stringContaining(image.digest),
      });
    }
  });

  test('goes by the Image of before the damage', async () => {
    expect(await image.remove({ force: true })).toMatchObject({ untagged: [reference], deleted: [image.id] });
  });

  test('loses one of several names without force', async () => {
    await image.tag('second/name:1');
    expect(await bed.runtime.removeImage('second/name:1')).toMatchObject({ untagged: ['second/name:1'], deleted: [] });
    expect(await bed.runtime.damagedImages()).toMatchObject([{ references: [reference] }]);
  });

  test('goes with prune once it has no name, and with all of them before', async () => {
    const gone = [idKnown ? image.id : image.digest];
    expect(await bed.runtime.prune({ images: true })).toMatchObject({ images: [] });
    bed.registry.addImage('test/doomed:1', randomImage(8));
    const other = await bed.runtime.pull(reference, { force: true });
    expect(await bed.runtime.prune({ images: true })).toMatchObject({ images: gone });
    remove(other.id);
    // busybox is in nobody's use either.
    const container = await bed.runtime.create(bed.busybox, { network: 'none' });
    expect(await bed.runtime.prune({ images: 'all' })).toMatchObject({ images: [other.id] });
    await container.close();
  });
});

test('is whole again when it is pulled by force', async () => {
  remove(image.digest);
  expect(await bed.runtime.pull(reference, { force: true })).toMatchObject({ id: image.id });
  expect(await bed.runtime.damagedImages()).toEqual([]);
  await bed.runtime.removeImage(reference);
});

test('a container of it keeps what it stands on', async () => {
  const used = await bed.add('test/used:1', busyboxImage({}, [{ name: 'etc/mine', content: 'mine' }]));
  await bed.runtime.removeImage(reference);
  const container = await bed.runtime.run(used, { network: 'none', command: ['sleep', '60'] });
  const { id, digest } = await bed.runtime.image(used);
  remove(digest);
  expect(await bed.runtime.removeImage(used, { force: true })).toMatchObject({ untagged: [used], deleted: [digest] });
  expect((await container.exec(['cat', '/etc/mine'])).stdout).toBe('mine');
  expect(content()).toContain(id.slice(7));
  await container.close();
  await bed.runtime.prune({ images: true });
});

test('an unknown option is refused before anything is touched', async () => {
  await expect(bed.runtime.removeImage(reference, { forced: true } as never)).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
    details: { option: 'forced', meant: 'force' },
  });
  expect(await bed.runtime.removeImage(reference)).toMatchObject({ untagged: [reference] });
});
