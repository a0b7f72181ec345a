import { busyboxImage, TestBed } from '../support/busybox';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

test('tells what it is', async () => {
  const image = await bed.runtime.image(bed.busybox);
  expect(image).toMatchObject({
    references: [bed.busybox],
    config: { command: ['/bin/sh'], env: { FROM_IMAGE: 'yes' } },
  });
  expect(image.id).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect((await image.history()).map(({ createdBy }) => createdBy)).toEqual(['step 0']);
  expect((await bed.runtime.image(image.id.slice(7, 19))).id).toBe(image.id);
  expect((await bed.runtime.images()).map(({ id }) => id)).toEqual([image.id]);
  await expect(bed.runtime.image('nothing-here')).rejects.toMatchObject({ code: 'ERR_IMAGE_NOT_FOUND' });
});

test('is pushed under any name, with what the Runtime knows of its registries', async () => {
  const image = await bed.runtime.image(bed.busybox);
  await image.push(`${bed.registry.host}/pushed/box:1`);
  expect(bed.registry.manifest('pushed/box', '1')?.length).toBeGreaterThan(0);
  await expect(image.push('x:1', { atuh: {} } as never)).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
    details: { option: 'atuh', meant: 'auth' },
  });
});

test('gets another name, is not removed from under a container, and goes with all that only it had', async () => {
  const reference = await bed.add('test/other:1', busyboxImage({ Labels: { kind: 'other' } }));
  const image = await bed.runtime.image(reference);
  await image.tag('mine/other:2');
  expect((await bed.runtime.images({ filters: { label: 'kind=other' } }))[0]?.references).toEqual([
    reference,
    'mine/other:2',
  ]);
  const container = await bed.runtime.create(image, { network: 'none' });
  expect(container.image).toBe(reference);
  await expect((await bed.runtime.image(image.id)).remove()).rejects.toMatchObject({ code: 'ERR_IMAGE_IN_USE' });
  await container.close();
  // By one name of two only that name goes.
  expect(await image.remove()).toMatchObject({ untagged: [reference], deleted: [] });
  const other = await bed.runtime.image('mine/other:2');
  expect(other.references).toEqual(['mine/other:2']);
  await other.tag('apart/other');
  await expect((await bed.runtime.image(image.id)).remove()).rejects.toMatchObject({ code: 'ERR_IMAGE_IN_USE' });
  await (await bed.runtime.image('apart/other')).remove();
  expect(await other.remove()).toMatchObject({ untagged: ['mine/other:2'], deleted: [image.id] });
  await expect(bed.runtime.image(image.id)).rejects.toMatchObject({ code: 'ERR_IMAGE_NOT_FOUND' });
  await expect(bed.runtime.create(reference, { network: 'none', pull: 'never' })).rejects.toMatchObject({
    code: 'ERR_IMAGE_NOT_FOUND',
  });
  // Its layer is busybox's too, and stays.
  expect((await bed.runtime.exec(bed.busybox, ['echo', 'there'], { network: 'none' })).stdout).toBe('there\n');
});

test('is pulled when it is missing, with progress', async () => {
  const reference = bed.registry.addImage('test/fresh:1', busyboxImage({ Labels: { fresh: 'yes' } }));
  const phases: string[] = [];
  const result = await bed.runtime.exec(reference, ['true'], {
    network: 'none',
    onPullProgress: ({ phase }) => phases.push(phase),
  });
  expect(result.exitCode).toBe(0);
  expect(phases).toContain('resolving');
  expect(phases.at(-1)).toBe('done');
});

test('info says what this host can do', async () => {
  expect(await bed.runtime.info()).toMatchObject({ usable: true, reasons: [], root: bed.root, state: bed.state });
});
