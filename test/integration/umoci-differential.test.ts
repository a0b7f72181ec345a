import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import { lowerFolders } from '../../lib/layers/chain';
import { mediaTypes } from '../../lib/oci/media-types';
import { type PullParts, pullImage } from '../../lib/pull/pull';
import { Store } from '../../lib/store/store';
import { randomRecipe, type Recipe, recipes } from '../support/layer-recipes';
import { buildImage } from '../support/random-image';
import { type RealRegistry, startRegistryWith, type TestImage } from '../support/real-registry';
import { TestRegistry } from '../support/registry';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';
import { listTree } from '../support/tree-listing';

// The tree that containers see is the one that umoci, which unpacks layer by layer into one folder, makes of the same image:
// types, modes, owners, times, attributes, contents, and which names are one file. Where we mean to differ, the recipe says why.
const seed = Number(process.env['DINGHY_TEST_SEED'] ?? 20261124);
const randomImages = Number(process.env['DINGHY_TEST_DIFFERENTIAL'] ?? 8);
const realImages: TestImage[] =
  randomImages > 8 ? ['busybox', 'nginx', 'node', 'redis', 'postgres', 'mariadb'] : ['busybox', 'redis'];

let registry: TestRegistry;
let folder: string;
let store: Store;

beforeAll(async () => {
  registry = await TestRegistry.start();
  folder = temporaryFolder('umoci');
  store = new Store({ root: join(folder, 'root') });
});
afterAll(async () => {
  await store.close();
  await registry.stop();
  removeFolder(folder);
});

/** Of an image that was pulled: ours, as overlay shows it, and umoci's. Times that are none of the archive's are `now`. */
async function bothTrees(
  reference: string,
  twin?: string,
): Promise<{ ours: Map<string, string>; theirs: Map<string, string> }> {
  const since = Date.now() / 1000 - 1;
  const parts: PullParts = { store, registry: { env: { HOME: folder } } };
  const image = await pullImage(reference, parts, { force: true });
  const counterpart = twin === undefined ? image : await pullImage(twin, parts, { force: true });
  const place = temporaryFolder('umoci');
  const [merged, unpacked, layout, empty] = ['merged', 'unpacked', 'layout', 'empty'].map((name) => join(place, name));
  for (const path of [merged!, unpacked!, layout!, empty!]) mkdirSync(path);
  try {
    const lower = await lowerFolders(store, image.layers);
    const names = [...lower.map((path) => relative(store.paths.root, path)), relative(store.paths.root, empty!)];
    // From within the data folder: mount(8) takes a page of options.
    const mount = `cd '${store.paths.root}'; mount -t overlay overlay -o 'ro,metacopy=off,redirect_dir=off,index=off,lowerdir=${names.join(':')}' '${merged}'; cd '${merged}'`;
    const ours = await listTree(merged!, mount);
    writeLayout(layout!, counterpart.digest, (await store.blobs.size(counterpart.digest))!);
    execFileSync('umoci', ['raw', 'unpack', '--image', `${layout}:it`, unpacked!], { stdio: 'pipe' });
    const theirs = await listTree(unpacked!);
    return { ours: comparable(ours, since), theirs: comparable(theirs, since) };
  } finally {
    removeFolder(place);
  }
}

/** An OCI layout of one tag, over the store's own blobs. */
function writeLayout(path: string, digest: string, size: number): void {
  symlinkSync(store.paths.blobs, join(path, 'blobs'));
  writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const annotations = { 'org.opencontainers.image.ref.name': 'it' };
  const manifests = [{ mediaType: mediaTypes.ociManifest, digest, size, annotations }];
  writeFileSync(join(path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
}

function comparable(tree: Map<string, string>, since: number): Map<string, string> {
  for (const [path, line] of tree) {
    const words = line.split(' ');
    if (Number(words[3]) >= since) words[3] = 'now';
    // The root's own time is that of whatever was mounted or made there last.
    if (path === '.') words[3] = 'root';
    tree.set(path, words.join(' '));
  }
  return tree;
}

/** A folder of which the topmost layer that has it says nothing: its time is that of unpacking, where umoci has the lower one. */
function sameButTime(mine = '', other = ''): boolean {
  const [type, mode, owner, time, ...rest] = mine.split(' ');
  const [, , , otherTime] = other.split(' ');
  return type === '5' && time === 'now' && [type, mode, owner, otherTime, ...rest].join(' ') === other;
}

/** `path: ours | theirs` for each that differs. */
function differences(ours: Map<string, string>, theirs: Map<string, string>): string[] {
  const paths = [...new Set([...ours.keys(), ...theirs.keys()])].sort();
  return paths.flatMap((path) => {
    const [mine, other] = [ours.get(path), theirs.get(path)];
    return mine === other || sameButTime(mine, other) ? [] : [`${path}: ${mine ?? 'absent'} | ${other ?? 'absent'}`];
  });
}

let number = 0;

async function expectAlike({ layers, twin, differs = {} }: Recipe): Promise<void> {
  const name = `made/image:${++number}`;
  const reference = registry.addImage(name, buildImage(layers));
  const other = twin && registry.addImage(`${name}-twin`, buildImage(twin));
  const { ours, theirs } = await bothTrees(reference, other);
  const found = differences(ours, theirs);
  expect(found.filter((each) => !Object.keys(differs).some((path) => each.startsWith(`${path}: `)))).toEqual([]);
  // What is listed as different is.
  expect(found).toHaveLength(Object.keys(differs).length);
}

describe('a made image', () => {
  it.each(Object.keys(recipes))('%s', async (name) => {
    await expectAlike(recipes[name]!());
  });
});

describe('a random image', () => {
  it.each(Array.from({ length: randomImages }, (_image, index) => seed + index))('of seed %i', async (each) => {
    await expectAlike(randomRecipe(each));
  });
});

describe('a real image', () => {
  let real: RealRegistry;
  beforeAll(async () => {
    real = await startRegistryWith(Object.fromEntries(realImages.map((name) => [name, 'test'])));
  }, 600_000);
  afterAll(() => real.stop());

  it.each(realImages)(
    '%s',
    async (name) => {
      const { ours, theirs } = await bothTrees(`${real.host}/library/${name}:test`);
      expect(ours.size).toBeGreaterThan(3);
      expect(differences(ours, theirs)).toEqual([]);
    },
    120_000,
  );
});
