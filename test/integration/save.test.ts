import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { promisify } from 'node:util';

import { loadImages } from '../../lib/archive/load';
import { saveImages, type SaveFormat, type SaveOptions } from '../../lib/archive/save';
import { pullImage } from '../../lib/pull/pull';
import { Store } from '../../lib/store/store';
import {
  type BuiltImage,
  buildImage,
  buildLayer,
  randomBytes,
  randomImage,
  seededRandom,
} from '../support/random-image';
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
  folder = temporaryFolder('save');
  mkdirSync(join(folder, 'out'));
  store = new Store({ root: join(folder, 'root') });
});
afterEach(async () => {
  await store.close();
  removeFolder(folder);
});

const run = promisify(execFile);
const image = randomImage(81, { layers: 3 });
const names = ['docker.io/team/app:1', 'docker.io/team/app:latest'];

async function pull(built: BuiltImage = image): Promise<void> {
  const reference = registry.addImage(`app${built.configDigest.slice(7, 12)}:1`, built);
  await pullImage(reference, { store, registry: { env: { HOME: folder } } });
}

async function save(target: string | Writable, options: SaveOptions = {}, under = names, built = image): Promise<void> {
  const stored = await store.images.get(built.configDigest);
  await saveImages(target, [{ image: stored, names: under }], store, options);
}

const out = (name: string): string => join(folder, 'out', name);

describe('dinghy writes, and what reads it finds the same image:', () => {
  it.each<[SaveFormat, string]>([
    ['docker-archive', 'docker-archive'],
    ['docker-archive', 'oci-archive'],
    ['oci-archive', 'oci-archive'],
    ['oci', 'oci'],
  ])('%s, read by skopeo as %s', async (format, transport) => {
    await pull();
    await save(out('image'), { format }, [names[0]!]);
    const { stdout } = await run('skopeo', ['inspect', `${transport}:${out('image')}`]);
    const inspected = JSON.parse(stdout) as { Layers: string[]; Digest: string };
    expect(inspected.Layers).toHaveLength(3);
    if (transport !== 'docker-archive') {
      expect(inspected.Digest).toBe(image.digest);
    }
    // All of it is copied, and each layer compared with its diff id.
    await run('skopeo', ['copy', '-q', `${transport}:${out('image')}`, `dir:${out('copied')}`]);
    expect(readdirSync(out('copied'))).toHaveLength(3 + 3);
  });

  it.each<SaveFormat>(['docker-archive', 'oci-archive', 'oci'])(
    '%s, loaded into another data folder',
    async (format) => {
      await pull();
      await save(out('image'), { format });
      const other = new Store({ root: join(folder, 'other') });
      const [loaded] = await loadImages(out('image'), { store: other });
      expect(loaded).toMatchObject({
        id: image.configDigest,
        digest: image.digest,
        references: ['team/app:1', 'team/app:latest'],
      });
      expect((await other.blobs.list()).sort()).toEqual((await store.blobs.list()).sort());
      await other.close();
      // Nothing but the target, under its own name.
      expect(readdirSync(join(folder, 'out'))).toEqual(['image']);
    },
  );
});

it('gives the same bytes every time, to a file and to a stream, which it ends', async () => {
  await pull();
  await save(out('one'));
  await save(out('one'));
  const stream = new PassThrough();
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await save(stream);
  expect(stream.writableFinished).toBe(true);
  expect(Buffer.concat(chunks).equals(readFileSync(out('one')))).toBe(true);
});

it('puts several images into one archive, what they share once', async () => {
  const other = buildImage([...image.layers, buildLayer([{ name: 'more', content: 'more' }])]);
  await pull();
  await pull(other);
  const both = await Promise.all(
    [image, other].map(async (built, index) => ({
      image: await store.images.get(built.configDigest),
      names: [`docker.io/library/image${index}:1`],
    })),
  );
  await saveImages(out('both'), both, store);
  expect(readFileSync(out('both')).length).toBeLessThan(
    2 * image.layers.reduce((sum, { blob }) => sum + blob.length, 30_000),
  );
  const fresh = new Store({ root: join(folder, 'other') });
  const loaded = await loadImages(out('both'), { store: fresh });
  expect(loaded.map(({ references }) => references)).toEqual([['image0:1'], ['image1:1']]);
  await fresh.close();
});

describe('a save that fails leaves the target as it was:', () => {
  const old = 'what was here before';
  const expectOld = (): void => {
    expect(readFileSync(out('image'), 'utf8')).toBe(old);
    expect(readdirSync(join(folder, 'out'))).toEqual(['image']);
    expect(readdirSync(store.paths.temporary)).toEqual([]);
  };
  beforeEach(() => writeFileSync(out('image'), old));

  it('when a blob is damaged, cut or missing', async () => {
    await pull();
    const path = store.blobs.path(image.layers[1]!.digest);
    const bytes = Buffer.from(readFileSync(path));
    bytes[100]! ^= 1;
    writeFileSync(path, bytes);
    await expect(save(out('image'))).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/damaged/),
    });
    truncateSync(path, 50);
    await expect(save(out('image'))).rejects.toMatchObject({ code: 'ERR_STORE' });
    expectOld();
    await expect(save(out('folder'), { format: 'oci' })).rejects.toMatchObject({ code: 'ERR_STORE' });
    expectOld();
  });

  it('when it is aborted, at once', async () => {
    const big = buildImage([buildLayer([{ name: 'big', content: randomBytes(seededRandom(1), 3_000_000) }])]);
    await pull(big);
    const controller = new AbortController();
    const stuck = new Writable({ write: () => controller.abort(new Error('enough')) });
    const startedAt = performance.now();
    await expect(save(stuck, { signal: controller.signal }, names, big)).rejects.toMatchObject({
      code: 'ABORT_ERR',
      cause: { message: 'enough' },
    });
    expect(performance.now() - startedAt).toBeLessThan(1000);
    await expect(save(out('image'), { signal: controller.signal }, names, big)).rejects.toMatchObject({
      code: 'ABORT_ERR',
    });
    expectOld();
  });

  it('when the target can not be', async () => {
    await pull();
    for (const [target, options] of [
      [out('no/such/folder/image'), {}],
      [join(folder, 'out'), {}],
      [join(folder, 'out'), { format: 'oci' }],
      [out('image'), { format: 'oci' }],
      [new PassThrough(), { format: 'oci' }],
    ] as [string | Writable, SaveOptions][]) {
      await expect(save(target, options)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    }
    expectOld();
    expect(existsSync(out('no'))).toBe(false);
  });

  it('when the reader goes away', async () => {
    await pull();
    const gone = new Writable({ write: (_chunk, _encoding, done) => done(new Error('gone')) });
    await expect(save(gone)).rejects.toThrow('gone');
    expectOld();
  });
});
