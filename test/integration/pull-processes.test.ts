import { readdirSync } from 'node:fs';

import { Store } from '../../lib/store/store';
import { ChildProgram } from '../support/child-program';
import { type BuiltImage, buildImage, buildLayer, randomBytes, seededRandom } from '../support/random-image';
import { TestRegistry } from '../support/registry';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';
import { until } from '../support/until';

const layers = Array.from({ length: 5 }, (_layer, index) => {
  return buildLayer([{ name: `layer-${index}`, content: randomBytes(seededRandom(index), 200_000) }]);
});
// Four images, each with the first layer and two more.
const images: BuiltImage[] = [1, 2, 3, 4].map((index) =>
  buildImage([0, index, (index % 4) + 1].map((each) => layers[each] as never)),
);

let registry: TestRegistry;
let folder: string;
let program: ChildProgram;

beforeAll(async () => {
  registry = await TestRegistry.start();
});
afterAll(() => registry.stop());
beforeEach(() => {
  registry.reset();
  folder = temporaryFolder('pulls');
  program = new ChildProgram(folder, 'pull-child');
});
afterEach(() => removeFolder(folder));

it('fetches each layer once, however many processes want it', async () => {
  const references = images.map((image, index) => registry.addImage(`app${index}:1`, image));
  registry.faults.slowMs = 5;
  const results = await Promise.all(Array.from({ length: 8 }, () => program.start(references).ended));
  expect(results.filter((result) => result.code !== 0)).toEqual([]);
  for (const layer of layers) {
    expect(registry.seen.filter((request) => request.path.endsWith(layer.digest))).toHaveLength(1);
  }
  const store = new Store({ root: program.root });
  expect((await store.images.list()).map((image) => image.id).sort()).toEqual(
    images.map((image) => image.configDigest).sort(),
  );
  expect(readdirSync(store.paths.temporary)).toEqual([]);
});

it('goes on within a second of the death of the process that fetched', async () => {
  const reference = registry.addImage('app:1', images[0] as never);
  registry.faults.slowMs = 100;
  const first = program.start([reference]);
  await until('three blobs are asked for', () => registry.count(/blobs/) >= 3, 20_000);
  const second = program.start([reference]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  registry.faults.slowMs = undefined;
  const before = registry.count(/blobs/);
  const killedAt = performance.now();
  first.child.kill('SIGKILL');
  await until('one more is asked for', () => registry.count(/blobs/) > before, 20_000);
  expect(performance.now() - killedAt).toBeLessThan(1000);
  expect(await second.ended).toMatchObject({ code: 0 });
  await first.ended;
});

it('waits for locks without threads: 32 pulls at once with one thread for files', async () => {
  const references = images.map((image, index) => registry.addImage(`app${index}:1`, image));
  process.env['UV_THREADPOOL_SIZE'] = '1';
  try {
    const many = Array.from({ length: 32 }, (_pull, index) => references[index % 4]!);
    expect(await program.start(many).ended).toMatchObject({ code: 0 });
  } finally {
    delete process.env['UV_THREADPOOL_SIZE'];
  }
});
