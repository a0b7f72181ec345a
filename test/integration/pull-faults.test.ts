// A pull is cut, killed and starved of space at random moments. `npm test` tries some of each, `npm run soak -- pulls` all
// (DINGHY_TEST_PULL_FAULTS); DINGHY_TEST_SEED repeats a run.
import { readdirSync } from 'node:fs';

import { pullImage } from '../../lib/pull/pull';
import { verifyStore } from '../../lib/pull/verify';
import { Store } from '../../lib/store/store';
import { ChildProgram, startProgram } from '../support/child-program';
import { buildImage, buildLayer, randomBytes, seededRandom } from '../support/random-image';
import { TestRegistry } from '../support/registry';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';
import { until } from '../support/until';

const full = process.env['DINGHY_TEST_PULL_FAULTS'] === 'full';
const seed = Number(process.env['DINGHY_TEST_SEED'] ?? Math.floor(Math.random() * 1e9));
const random = seededRandom(seed);
const below = (limit: number): number => Math.floor(random() * limit);
const moments = (some: number, all: number, limit: number): number[] =>
  Array.from({ length: full ? all : some }, () => below(limit));

const image = buildImage(
  [0, 1, 2].map((index) =>
    buildLayer(
      Array.from({ length: 40 }, (_file, file) => ({
        name: `layer-${index}/file-${file}`,
        content: randomBytes(seededRandom(index * 100 + file), 5000 + file * 400),
      })),
    ),
  ),
);
const blobBytes = image.layers.reduce((sum, { blob }) => sum + blob.length, 0);

let registry: TestRegistry;
let reference: string;
let folder: string;
let program: ChildProgram;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  registry = await TestRegistry.start();
});
afterAll(() => registry.stop());
beforeEach(() => {
  registry.reset();
  reference = registry.addImage('app:1', image);
  folder = temporaryFolder('pulls');
  program = new ChildProgram(folder, 'pull-child');
});
afterEach(() => removeFolder(folder));

const pull = async (store: Store): Promise<string> =>
  (await pullImage(reference, { store, registry: { env: { HOME: folder }, retry: { baseMs: 1 } } })).id;

/** Whatever happened: what is there is whole, the pull succeeds, and the next user of the store finds nothing of the past. */
async function expectRecovery(): Promise<void> {
  const store = new Store({ root: program.root });
  await store.open();
  expect(await verifyStore({ store }, { repair: false })).toEqual([]);
  expect(await pull(store)).toBe(image.configDigest);
  expect(await verifyStore({ store }, { repair: false })).toEqual([]);
  for (const { diffId } of image.layers) {
    expect(await store.layers.get(diffId)).toMatchObject({ entries: 40 });
  }
  await store.close();
  // The process that unpacked for a killed one may hold its folder for some milliseconds more.
  await until('the next user of the store finds nothing of the past', async () => {
    const next = new Store({ root: program.root });
    await next.open();
    const left = readdirSync(next.paths.temporary);
    await next.close();
    return left.length === 0;
  });
}

it('goes on where a blob was cut', async () => {
  for (const afterBytes of moments(12, 100, blobBytes / 3)) {
    registry.faults.cut = { afterBytes, times: 3 };
    const store = new Store({ root: program.root });
    expect(await pull(store)).toBe(image.configDigest);
    await store.close();
    await expectRecovery();
    removeFolder(program.root);
  }
});

it('leaves the store as it was when every try is cut', async () => {
  for (const afterBytes of moments(8, 100, blobBytes / 4)) {
    registry.faults = { cut: { afterBytes, times: 1000 }, range: 'off' };
    const store = new Store({ root: program.root });
    await expect(pull(store)).rejects.toMatchObject({ code: 'ERR_REGISTRY_UNREACHABLE' });
    expect(await store.images.list()).toEqual([]);
    expect(await store.blobs.list()).toEqual([]);
    expect(readdirSync(store.paths.temporary)).toEqual([]);
    await store.close();
    registry.faults = {};
    await expectRecovery();
    removeFolder(program.root);
  }
});

it('recovers from kill -9 at any moment', async () => {
  registry.faults.slowMs = 3;
  for (const delayMs of moments(8, 100, 900)) {
    const { child, ended } = program.start([reference]);
    const timer = setTimeout(() => child.kill('SIGKILL'), delayMs);
    await ended;
    clearTimeout(timer);
    await expectRecovery();
    removeFolder(program.root);
  }
});

it('says that the disk is full, leaves nothing, and succeeds when there is room', async () => {
  // In a mount namespace of its own, whose end is the end of the tmpfs too.
  const script = `
    set -u; root=$1; kib=$2; shift 2
    mkdir -p "$root"; mount -t tmpfs -o "size=\${kib}k,mode=0700" none "$root" || exit 90
    "$@" && echo FITTED
    find "$root/tmp" -mindepth 1 2>/dev/null | grep -q . && exit 91
    find "$root/blobs" "$root/layers" -mindepth 2 2>/dev/null | grep -q . && [ -z "\${FITTED:-}" ] && echo LEFT
    mount -o remount,size=100m "$root" || exit 92
    "$@" || exit 93
    find "$root/tmp" -mindepth 1 | grep -q . && exit 94
    exit 0`;
  // From nothing at all to what is nearly enough: blobs and layers together.
  for (const kib of moments(8, 30, (2 * blobBytes) / 1024).map((each) => each + 8)) {
    const args = ['sh', '-c', script, 'sh', program.root, String(kib), ...program.command([reference])];
    const { code, output } = await startProgram(['unshare', '-m', ...args]).ended;
    if (code !== 0) {
      throw new Error(`with ${kib} KiB step ${code} failed:\n${output}`);
    }
    if (!output.includes('FITTED')) {
      expect(output).toContain('ERR_NO_SPACE');
      expect(output).not.toContain('LEFT');
    }
  }
});
