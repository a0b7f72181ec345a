import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { buildSync } from 'esbuild';

import { pullImage } from '../../lib/pull/pull';
import { Store } from '../../lib/store/store';
import { type BuiltImage, buildImage, buildLayer, randomBytes, seededRandom } from '../support/random-image';
import { TestRegistry } from '../support/registry';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

const repository = join(__dirname, '../..');
const layers = Array.from({ length: 5 }, (_layer, index) => {
  return buildLayer([{ name: `layer-${index}`, content: randomBytes(seededRandom(index), 200_000) }]);
});
// Four images, each with the first layer and two more.
const images: BuiltImage[] = [1, 2, 3, 4].map((index) =>
  buildImage([0, index, (index % 4) + 1].map((each) => layers[each] as never)),
);

let registry: TestRegistry;
let folder: string;
let root: string;
let program: string;

beforeAll(async () => {
  registry = await TestRegistry.start();
});
afterAll(() => registry.stop());
beforeEach(() => {
  registry.reset();
  folder = temporaryFolder('pulls');
  root = join(folder, 'root');
  // A package of its own around the program: there the addon is looked for.
  mkdirSync(join(folder, 'program'));
  for (const name of ['addon', 'package.json']) {
    symlinkSync(join(repository, name), join(folder, name));
  }
  program = join(folder, 'program/pull-child.js');
  buildSync({
    entryPoints: [join(repository, 'test/support/pull-child.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    logLevel: 'error',
  });
});
afterEach(() => removeFolder(folder));

function start(references: string[]): { child: ChildProcess; ended: Promise<{ code: number | null; output: string }> } {
  const child = spawn(process.execPath, [program, root, ...references], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, output }))) };
}

async function until(condition: () => boolean): Promise<void> {
  for (const startedAt = performance.now(); !condition();) {
    if (performance.now() - startedAt > 20_000) {
      throw new Error('what was waited for did not happen in 20 s');
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it('fetches each layer once, however many processes want it', async () => {
  const references = images.map((image, index) => registry.addImage(`app${index}:1`, image));
  registry.faults.slowMs = 5;
  const results = await Promise.all(Array.from({ length: 8 }, () => start(references).ended));
  expect(results.filter((result) => result.code !== 0)).toEqual([]);
  for (const layer of layers) {
    expect(registry.seen.filter((request) => request.path.endsWith(layer.digest))).toHaveLength(1);
  }
  const store = new Store({ root });
  expect((await store.images.list()).map((image) => image.id).sort()).toEqual(
    images.map((image) => image.configDigest).sort(),
  );
  expect(readdirSync(store.paths.temporary)).toEqual([]);
});

it('goes on within a second of the death of the process that fetched', async () => {
  const reference = registry.addImage('app:1', images[0] as never);
  registry.faults.slowMs = 100;
  const first = start([reference]);
  await until(() => registry.count(/blobs/) >= 3);
  const second = start([reference]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  registry.faults.slowMs = undefined;
  const before = registry.count(/blobs/);
  const killedAt = performance.now();
  first.child.kill('SIGKILL');
  await until(() => registry.count(/blobs/) > before);
  expect(performance.now() - killedAt).toBeLessThan(1000);
  expect(await second.ended).toMatchObject({ code: 0 });
  await first.ended;
});

it.each([1, 2, 3, 4, 5, 6])('leaves a store that works when killed at moment %d', async (moment) => {
  const reference = registry.addImage('app:1', images[0] as never);
  registry.faults.slowMs = 10;
  const first = start([reference]);
  const killer = setInterval(() => {
    // A request more for each moment: ping, manifest, config, layers; then their bodies under way.
    if (registry.seen.length >= moment) {
      setTimeout(() => first.child.kill('SIGKILL'), moment * 7);
      clearInterval(killer);
    }
  }, 1);
  await first.ended;
  clearInterval(killer);
  registry.faults.slowMs = undefined;
  const store = new Store({ root });
  const image = await pullImage(reference, { store, registry: { env: { HOME: folder } } });
  await store.close();
  expect(image.id).toBe(images[0]?.configDigest);
  for (const digest of await store.blobs.list()) {
    expect(await store.blobs.verify(digest)).toBe(true);
  }
  // The process that unpacked for the killed one may have held its folder for some milliseconds more: then the next one sweeps it.
  const next = new Store({ root });
  await next.open();
  await next.close();
  expect(readdirSync(store.paths.temporary)).toEqual([]);
});

it('waits for locks without threads: 32 pulls at once with one thread for files', async () => {
  const references = images.map((image, index) => registry.addImage(`app${index}:1`, image));
  process.env['UV_THREADPOOL_SIZE'] = '1';
  try {
    const many = Array.from({ length: 32 }, (_pull, index) => references[index % 4]!);
    expect(await start(many).ended).toMatchObject({ code: 0 });
  } finally {
    delete process.env['UV_THREADPOOL_SIZE'];
  }
});
