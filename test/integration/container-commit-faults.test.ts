import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Container, ContainerOptions } from '../../lib';
import { busyboxImage, TestBed } from '../support/busybox';
import { until } from '../support/until';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

// One that changes its files all the time, and counts where no disk holds it up.
const writing = 'i=0; while true; do i=$((i+1)); echo $i > /dev/shm/counter; echo $i > /changing; sleep 0.01; done';
const busy = { network: 'none' as const, command: ['sh', '-c', writing] };

function content(root = bed.root): string[] {
  return ['blobs/sha256', 'layers', 'tmp', 'fixes'].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => `${folder}/${name}`),
  );
}

async function withFiles(options: ContainerOptions = {}, runtime = bed.runtime): Promise<Container> {
  const container = await runtime.run(bed.busybox, { ...busy, ...options });
  const script =
    'mkdir /many && cd /many && for i in $(seq 500); do echo $i > $i; done; dd if=/dev/urandom of=/large bs=1M count=24';
  await container.exec(['sh', '-c', script], { check: true });
  return container;
}

async function runs(container: Container): Promise<void> {
  expect((await container.inspect()).status).toBe('running');
  const count = async (): Promise<string> =>
    (await container.exec(['cat', '/dev/shm/counter'], { check: true })).stdout;
  const before = await count();
  await until('it goes on', async () => (await count()) !== before);
}

test('a committer killed at any moment leaves nothing, and a container that runs', async () => {
  const container = await withFiles({ detached: true });
  const before = content();
  const code = `
    const container = await runtime.container(given);
    say('ready');
    await container.commit({ reference: 'mine/killed:1' });
    say('done');`;
  let unfinished = 0;
  for (let round = 0; round < 10; round++) {
    const { child, ended } = bed.child(code, container.id);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    await new Promise((resolve) => setTimeout(resolve, 20 * round));
    child.kill('SIGKILL');
    const { output } = await ended;
    await runs(container);
    if (!output.includes('done')) {
      unfinished++;
    }
    for (const image of await bed.runtime.images()) {
      if (image.references.includes('mine/killed:1')) {
        await image.remove();
      }
    }
    await bed.runtime.prune();
    expect(content()).toEqual(before);
  }
  expect(unfinished).toBeGreaterThan(0);
  await container.remove({ force: true });
}, 60_000);

test('an abort at any moment leaves nothing, and a container that runs', async () => {
  const container = await withFiles();
  const before = content();
  for (let round = 0; round < 8; round++) {
    const reason = `round ${round}`;
    const controller = new AbortController();
    const commit = container.commit({ signal: controller.signal });
    setTimeout(() => controller.abort(reason), 15 * round);
    const outcome = await commit.catch((error: unknown) => error);
    if (outcome instanceof Error) {
      expect(outcome).toMatchObject({ code: 'ABORT_ERR', cause: reason });
    } else {
      await (outcome as Awaited<typeof commit>).remove();
    }
    await runs(container);
    expect(content()).toEqual(before);
  }
  await container.close();
}, 60_000);

test('on a full disk it fails as such, with nothing left, and the container goes on', async () => {
  const disk = join(bed.folder, 'disk');
  mkdirSync(disk);
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=56m', 'dinghy-full', disk]).status).toBe(0);
  const root = join(disk, 'root');
  const runtime = bed.newRuntime({ root });
  try {
    bed.registry.addImage('test/busybox:1', busyboxImage());
    await runtime.pull(bed.busybox);
    const container = await withFiles({}, runtime);
    const before = content(root);
    await expect(container.commit({ reference: 'too/large:1' })).rejects.toMatchObject({ code: 'ERR_NO_SPACE' });
    expect(content(root)).toEqual(before);
    await runs(container);
    await container.exec(['rm', '/large'], { check: true });
    await (await container.commit({ reference: 'fits/now:1' })).remove();
    await container.close();
  } finally {
    await runtime.close();
    await until('nobody is there any more', () => spawnSync('umount', [disk]).status === 0);
  }
}, 30_000);

test('a container that is removed, or ends, meanwhile', async () => {
  const gone = await withFiles();
  const before = content();
  const commit = gone.commit().then(
    (image) => image.remove(),
    (error: unknown) => expect(error).toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' }),
  );
  await gone.remove({ force: true });
  await commit;
  expect(content()).toEqual(before);

  const ending = await withFiles();
  const [image] = await Promise.all([ending.commit(), ending.kill('SIGKILL')]);
  expect(await bed.runtime.exec(image, ['sh', '-c', 'ls /many | wc -l'], { network: 'none' })).toMatchObject({
    stdout: '500\n',
  });
  await image.remove();
  await ending.close();
});
