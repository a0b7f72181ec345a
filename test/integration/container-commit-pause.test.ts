import { mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';

import type { Container } from '../../lib';
import { TestBed } from '../support/busybox';
import { until } from '../support/until';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

// At any moment both numbers are the same, or the first is one ahead.
const pairs = `i=0; while true; do i=$((i+1)); for name in a b; do echo $i > /new; mv /new /$name; done; done`;

async function runPairs(): Promise<Container> {
  const container = await bed.runtime.run(bed.busybox, { network: 'none', command: ['sh', '-c', pairs] });
  await container.exec(['dd', 'if=/dev/urandom', 'of=/large', 'bs=1M', 'count=24'], { check: true });
  return container;
}

async function countOf(container: Container): Promise<number> {
  return Number((await container.exec(['cat', '/a'], { check: true })).stdout);
}

async function goesOn(container: Container): Promise<void> {
  const before = await countOf(container);
  await until('it goes on', async () => (await countOf(container)) > before);
}

test('the image is of one moment of a container that goes on meanwhile', async () => {
  const container = await runPairs();
  await goesOn(container);
  for (let round = 0; round < 5; round++) {
    const before = await countOf(container);
    const image = await container.commit({ pause: true });
    const after = await countOf(container);
    const { stdout } = await bed.runtime.exec(image, ['cat', '/a', '/b'], { network: 'none', check: true });
    const [a = 0, b = 0] = stdout.split('\n').map(Number);
    expect([a, a - 1]).toContain(b);
    expect(a).toBeGreaterThanOrEqual(before);
    expect(after).toBeGreaterThan(a);
    await image.remove();
  }
  await container.close();
});

test('with the upper layer on tmpfs it stands still while it is read', async () => {
  const state = join(bed.folder, 'tmpfs');
  mkdirSync(state, { mode: 0o700 });
  const key = [bed.root, release(), false].join(' ');
  writeFileSync(join(state, 'provider.json'), JSON.stringify({ key, provider: 'overlay-tmpfs' }));
  const runtime = bed.newRuntime({ state });
  const container = await runtime.run(bed.busybox, { network: 'none', command: ['sh', '-c', pairs] });
  await goesOn(container);
  const image = await container.commit();
  const { stdout } = await runtime.exec(image, ['cat', '/a', '/b'], { network: 'none', check: true });
  const [a = 0, b = 0] = stdout.split('\n').map(Number);
  expect([a, a - 1]).toContain(b);
  await goesOn(container);
  await image.remove();
  await runtime.close();
});

test('without a pause it is read as it changes', async () => {
  const container = await runPairs();
  const image = await container.commit({ pause: false });
  const { stdout } = await bed.runtime.exec(image, ['ls', '-l', '/large'], { network: 'none', check: true });
  expect(stdout).toContain(String(24 * 1024 * 1024));
  await goesOn(container);
  await image.remove();
  await container.close();
});

test('one that was paused by its user stays so', async () => {
  const container = await runPairs();
  await goesOn(container);
  await container.pause();
  const image = await container.commit();
  expect((await container.inspect()).status).toBe('paused');
  await container.unpause();
  await goesOn(container);
  await image.remove();
  await container.close();
});

test('several at once, of one that is stopped and started again meanwhile', async () => {
  const container = await runPairs();
  const commits = Array.from({ length: 4 }, () => container.commit());
  await container.restart({ timeoutMs: 0 });
  const images = await Promise.all(commits);
  await goesOn(container);
  for (const image of images) {
    const { stdout } = await bed.runtime.exec(image, ['cat', '/a', '/b'], { network: 'none', check: true });
    const [a = 0, b = 0] = stdout.split('\n').map(Number);
    // The first pair of a new run stands beside the last of the one before.
    expect(a === b || b === a - 1 || a === 1).toBe(true);
    await image.remove();
  }
  await container.close();
});
