import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';

import { verifyStore } from '../../lib/pull/verify';
import { acquireLock } from '../../lib/store/locks';
import { Store } from '../../lib/store/store';
import { ChildProgram, type StartedProgram } from '../support/child-program';
import { buildImage, buildLayer, randomBytes, seededRandom } from '../support/random-image';
import { TestRegistry } from '../support/registry';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

const layers = Array.from({ length: 4 }, (_layer, index) =>
  buildLayer([{ name: `shared/layer-${index}`, content: randomBytes(seededRandom(index), 30_000) }]),
);
const images = [1, 2, 3].map((index) => buildImage([layers[0]!, layers[index]!]));

let registry: TestRegistry;
let folder: string;
let program: ChildProgram;

beforeAll(async () => {
  registry = await TestRegistry.start();
});
afterAll(() => registry.stop());
beforeEach(() => {
  registry.reset();
  folder = temporaryFolder('races');
  program = new ChildProgram(folder, 'store-child');
});
afterEach(() => removeFolder(folder));

function start(seed: number, steps: number): StartedProgram {
  const references = images.map((image, index) => registry.addImage(`app${index}:1`, image));
  return program.start([`${seed}`, `${steps}`, ...references]);
}

/** Every image that the index names is whole, and when all are gone so is everything. */
async function expectSound(): Promise<void> {
  const store = new Store({ root: program.root });
  expect(await verifyStore({ store }, { repair: false })).toEqual([]);
  await store.references.update(() => []);
  await store.collect();
  expect([await store.blobs.list(), await store.layers.list(), readdirSync(store.paths.fixes)]).toEqual([[], [], []]);
  await store.close();
}

const seeds = (process.env['DINGHY_SEEDS'] ?? '1,2').split(',').map(Number);

it.each(seeds)('processes that pull, remove and collect at once lose nothing: seed %d', async (seed) => {
  const results = await Promise.all([0, 1, 2].map((index) => start(seed * 10 + index, 12).ended));
  expect(results.filter(({ code }) => code !== 0)).toEqual([]);
  expect(results.some(({ output }) => output.includes('pulled'))).toBe(true);
  await expectSound();
});

it.each(seeds)('nor when some of them are killed: seed %d', async (seed) => {
  const random = seededRandom(seed);
  const victims = [0, 1].map((index) => start(seed * 100 + index, 1000));
  const survivor = start(seed, 10);
  for (const { child } of victims) {
    await new Promise((resolve) => setTimeout(resolve, 300 + random() * 700));
    child.kill('SIGKILL');
  }
  expect(await survivor.ended).toMatchObject({ code: 0 });
  await Promise.all(victims.map(({ ended }) => ended));
  await expectSound();
});

it('waits less than a second for a holder of the lock that was killed', async () => {
  const store = new Store({ root: program.root });
  await store.open();
  const lock = store.paths.lock('content');
  const holder = spawn('flock', [lock, 'sleep', '60'], { stdio: 'ignore', detached: true });
  await new Promise((resolve) => setTimeout(resolve, 200));
  const waiting = Promise.all([store.collect(), acquireLock(lock, 'shared').then((held) => held.release())]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  process.kill(-holder.pid!, 'SIGKILL');
  const killedAt = performance.now();
  await waiting;
  expect(performance.now() - killedAt).toBeLessThan(1000);
  await store.close();
});
