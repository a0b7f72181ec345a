import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { chmod, lstat, mkdir, readFile, readlink, rename, rm, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { digestOf } from '../../lib/oci/digest';
import { type PullParts, pullImage } from '../../lib/pull/pull';
import type { BlobProgress } from '../../lib/util/progress';
import { KnownRegistries } from '../../lib/registry/known-registries';
import { Store } from '../../lib/store/store';
import { buildImage, buildLayer, randomBytes, randomImage, seededRandom } from '../support/random-image';
import { TestRegistry } from '../support/registry';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

let registry: TestRegistry;
let folder: string;
let store: Store;

beforeAll(async () => {
  registry = await TestRegistry.start();
});
beforeEach(() => {
  registry.reset();
  folder = temporaryFolder('pull');
  store = new Store({ root: join(folder, 'root') });
});
afterEach(async () => {
  await store.close();
  removeFolder(folder);
});
afterAll(() => registry.stop());

const parts = (more: Partial<PullParts> = {}): PullParts => ({
  store,
  registry: { retry: { baseMs: 5 }, env: { HOME: folder } },
  ...more,
});
const coded = (code: string, message = /./): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

/** Nothing in the store but its skeleton: no half image, and no temporary file. */
function expectEmpty(): void {
  const list = (name: string): string[] => readdirSync(join(folder, 'root', name));
  expect({ layers: list('layers'), blobs: list('blobs/sha256'), tmp: list('tmp'), fixes: list('fixes') }).toEqual({
    layers: [],
    blobs: [],
    tmp: [],
    fixes: [],
  });
}

describe('a pull', () => {
  it('brings an image whose layout other tools can read', async () => {
    const image = randomImage(1, { layers: 3 });
    const reference = registry.addImage('team/app:1', image);
    const pulled = await pullImage(reference, parts());
    expect(pulled).toMatchObject({
      id: image.configDigest,
      digest: image.digest,
      references: [reference],
      layers: image.layers.map((layer) => layer.diffId),
      config: { command: ['/bin/true'], env: ['PATH=/usr/bin:/bin'] },
      size: image.layers.reduce((sum, layer) => sum + layer.tar.length, 0),
    });
    for (const [digest, bytes] of image.blobs) {
      expect(readFileSync(store.blobs.path(digest)).equals(bytes)).toBe(true);
    }
    const unpacked = readFileSync(join(store.layers.diffFolder(image.layers[1]?.diffId ?? ''), 'data-1/1-0.bin'));
    expect(image.layers[1]?.tar.includes(unpacked)).toBe(true);
    expect(lstatSync(store.paths.root).mode & 0o777).toBe(0o700);
    expect(readdirSync(store.paths.temporary)).toEqual([]);
    const inspected = JSON.parse(
      execFileSync('skopeo', ['inspect', `oci:${store.paths.root}:${reference}`]).toString(),
    ) as { Layers: string[] };
    expect(inspected.Layers).toEqual(image.layers.map((layer) => layer.digest));
  });

  it('asks for each thing once, and for nothing when the image is here', async () => {
    const reference = registry.addImage('app:1', randomImage(2));
    await pullImage(reference, parts());
    expect(registry.seen.map((request) => request.path)).toHaveLength(4); // manifest, config, 2 layers
    const phases: BlobProgress[] = [];
    await pullImage(reference, parts(), { onProgress: (progress) => phases.push(progress) });
    expect(registry.seen).toHaveLength(4);
    expect(phases.map((progress) => progress.phase)).toEqual(['resolving', 'exists']);
    await pullImage(reference, parts(), { force: true });
    expect(registry.seen).toHaveLength(5); // manifest
  });

  it('takes one request for an image that is here, and asks once how a registry is spoken to', async () => {
    const reference = registry.addImage('app:1', randomImage(2));
    const known = new KnownRegistries();
    const shared = parts({ registry: { ...parts().registry, known } });
    await pullImage(reference, shared);
    registry.seen.length = 0;
    await pullImage(reference, shared, { force: true });
    expect(registry.seen.map(({ path }) => path)).toEqual(['/v2/app/manifests/1']);
    // What it asks for now is found out by asking again.
    registry.faults = { auth: 'bearer' };
    await pullImage(reference, shared, { force: true });
    registry.seen.length = 0;
    await pullImage(reference, shared, { force: true });
    expect(registry.seen.map(({ path }) => path)).not.toContain('/v2/');
  });

  it('fetches the one layer of twelve that is new', async () => {
    const old = Array.from({ length: 11 }, (_layer, index) => buildLayer([{ name: `old-${index}`, content: 'o' }]));
    await pullImage(registry.addImage('app:1', buildImage(old)), parts());
    const added = buildLayer([{ name: 'new', content: 'n' }]);
    const next = buildImage([...old, added]);
    registry.seen.length = 0;
    await pullImage(registry.addImage('app:2', next), parts());
    const blobs = registry.seen.flatMap(({ path }) => /blobs\/(.+)$/.exec(path)?.[1] ?? []);
    expect(blobs.sort()).toEqual([added.digest, next.configDigest].sort());
  });

  it('takes the platform asked for out of an index', async () => {
    const arm = buildImage([buildLayer([{ name: 'arm', content: 'a' }])], { architecture: 'arm64' });
    const intel = buildImage([buildLayer([{ name: 'intel', content: 'i' }])], { architecture: 'amd64' });
    registry.addImage('multi:arm', arm);
    registry.addImage('multi:intel', intel);
    const entry = (image: typeof arm, architecture: string): object => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: image.digest,
      size: image.manifest.length,
      platform: { os: 'linux', architecture },
    });
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [entry(arm, 'arm64'), entry(intel, 'amd64')],
      }),
    );
    const reference = registry.addManifest('multi:latest', index);
    expect((await pullImage(reference, parts(), { platform: 'linux/arm64' })).digest).toBe(arm.digest);
    expect((await pullImage(reference, parts(), { platform: 'linux/amd64' })).digest).toBe(intel.digest);
    await expect(pullImage(reference, parts(), { platform: 'linux/s390x' })).rejects.toEqual(
      coded('ERR_PLATFORM_NOT_FOUND', /linux\/arm64/),
    );
    const pinned = `${registry.host}/multi@${digestOf(index)}`;
    expect((await pullImage(pinned, parts(), { platform: 'amd64' })).digest).toBe(intel.digest);
    expect((await store.images.get(pinned)).digest).toBe(intel.digest);
    await expect(pullImage(`${registry.host}/multi:intel`, parts(), { platform: 'linux/arm64' })).rejects.toEqual(
      coded('ERR_PLATFORM_NOT_FOUND'),
    );
  });

  it('takes layers that are plain, empty, and the same twice', async () => {
    const plain = buildLayer([{ name: 'plain', content: 'p' }], false);
    const empty = buildLayer([]);
    const image = buildImage([empty, plain, empty]);
    const pulled = await pullImage(registry.addImage('odd:1', image), parts());
    expect(pulled.layers).toHaveLength(3);
    expect(registry.count(/blobs/)).toBe(3); // config and two layers
  });

  it('tells how far it is, at most ten times a second for each layer', async () => {
    const layer = buildLayer([{ name: 'big', content: randomBytes(seededRandom(5), 400_000) }]);
    const reference = registry.addImage('big:1', buildImage([layer]));
    registry.faults.slowMs = 30;
    const seen: (BlobProgress & { at: number })[] = [];
    const startedAt = performance.now();
    await pullImage(reference, parts(), {
      onProgress: (progress) => seen.push({ ...progress, at: performance.now() }),
    });
    const seconds = (performance.now() - startedAt) / 1000;
    const downloading = seen.filter((progress) => progress.phase === 'downloading');
    expect(downloading.length).toBeGreaterThan(2);
    expect(downloading.length).toBeLessThan(10 * seconds + 3);
    expect(downloading.every((each) => each.total === layer.blob.length && each.digest === layer.digest)).toBe(true);
    expect(downloading.map((each) => each.current)).toEqual(
      [...downloading.map((each) => each.current)].sort((a, b) => a - b),
    );
    expect(seen.at(-1)).toMatchObject({
      phase: 'done',
      overall: { current: layer.blob.length, total: layer.blob.length },
    });
  });

  it('moves the tag and keeps the old image without one', async () => {
    const [old, fresh] = [randomImage(11), randomImage(12)];
    const reference = registry.addImage('moving:1', old);
    await pullImage(reference, parts());
    registry.addImage('moving:1', fresh);
    expect((await pullImage(reference, parts())).digest).toBe(old.digest);
    expect((await pullImage(reference, parts(), { force: true })).digest).toBe(fresh.digest);
    expect((await store.images.list()).map((image) => [image.digest, image.references])).toEqual([
      [old.digest, []],
      [fresh.digest, [reference]],
    ]);
    expect((await store.images.get(old.configDigest.slice(7, 20))).digest).toBe(old.digest);
    await expect(store.images.get('')).rejects.toEqual(coded('ERR_IMAGE_NOT_FOUND'));
  });
});

describe('a pull that fails leaves nothing', () => {
  const image = randomImage(21);
  let reference: string;
  beforeEach(() => {
    reference = registry.addImage('app:1', image);
  });

  it('when a layer was changed', async () => {
    registry.addBlob(
      Buffer.concat(
        [image.layers[1]?.blob ?? Buffer.alloc(0)].map((blob) =>
          Buffer.from(blob.map((byte, at) => (at === 40 ? byte ^ 1 : byte))),
        ),
      ),
      image.layers[1]?.digest,
    );
    await expect(pullImage(reference, parts())).rejects.toEqual(
      expect.objectContaining({ code: expect.stringMatching(/ERR_DIGEST_MISMATCH|ERR_LAYER/) }),
    );
    expectEmpty();
    expect(await store.images.list()).toEqual([]);
  });

  it('when a layer unpacks to something else than the config says', async () => {
    const other = buildLayer([{ name: 'x', content: 'y' }]);
    const lying = buildImage([{ ...other, diffId: `sha256:${'0'.repeat(64)}` }]);
    await expect(pullImage(registry.addImage('lie:1', lying), parts())).rejects.toEqual(
      coded('ERR_DIGEST_MISMATCH', /diff/),
    );
    expectEmpty();
  });

  it('when a layer is missing, or no tar', async () => {
    const gone = buildImage([buildLayer([{ name: 'gone', content: 'g' }])]);
    registry.addManifest('gone:1', gone.manifest);
    registry.addBlob(gone.config);
    await expect(pullImage(`${registry.host}/gone:1`, parts())).rejects.toEqual(coded('ERR_IMAGE_NOT_FOUND'));
    const junk = Buffer.from('this is no archive'.repeat(100));
    const bad = buildImage([{ tar: junk, blob: junk, diffId: digestOf(junk), digest: digestOf(junk) }]);
    await expect(pullImage(registry.addImage('junk:1', bad), parts())).rejects.toEqual(coded('ERR_LAYER'));
    expectEmpty();
  });

  it('when the bodies end early again and again', async () => {
    registry.faults.cut = { afterBytes: 10, times: 1000 };
    await expect(pullImage(reference, parts())).rejects.toEqual(coded('ERR_REGISTRY_UNREACHABLE'));
    expectEmpty();
  });

  it('when it is aborted, at once', async () => {
    const big = buildImage(
      [0, 1, 2].map((index) => buildLayer([{ name: `f${index}`, content: randomBytes(seededRandom(index), 300_000) }])),
    );
    const bigReference = registry.addImage('slow:1', big);
    registry.faults.slowMs = 40;
    const controller = new AbortController();
    const running = pullImage(bigReference, parts(), { signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const abortedAt = performance.now();
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(running).rejects.toEqual(
      expect.objectContaining({ code: 'ABORT_ERR', name: 'AbortError', cause: reason }),
    );
    expect(performance.now() - abortedAt).toBeLessThan(200);
    expectEmpty();
    await expect(pullImage(bigReference, parts(), { signal: controller.signal })).rejects.toEqual(coded('ABORT_ERR'));
  });

  it('when the progress listener throws', async () => {
    const onProgress = (progress: BlobProgress): void => {
      if (progress.phase === 'downloading') {
        throw new Error('from the listener');
      }
    };
    await expect(pullImage(reference, parts(), { onProgress })).rejects.toThrow('from the listener');
    expectEmpty();
  });

  it('when it is larger than allowed', async () => {
    await expect(pullImage(reference, parts({ limits: { bytes: 2048 } }))).rejects.toEqual(coded('ERR_LAYER', /limit/));
    expectEmpty();
  });

  it('but keeps what another image uses', async () => {
    await pullImage(reference, parts());
    const shared = buildImage([image.layers[0] as never, buildLayer([{ name: 'missing', content: 'm' }])]);
    registry.addManifest('half:1', shared.manifest);
    registry.addBlob(shared.config);
    await expect(pullImage(`${registry.host}/half:1`, parts())).rejects.toEqual(coded('ERR_IMAGE_NOT_FOUND'));
    expect((await pullImage(reference, parts())).digest).toBe(image.digest);
    expect(await store.blobs.list()).toHaveLength(4);
  });
});

describe('a pull repairs', () => {
  const image = randomImage(31);
  let reference: string;
  beforeEach(async () => {
    reference = registry.addImage('app:1', image);
    await pullImage(reference, parts());
    registry.seen.length = 0;
  });

  it('a layer that was removed, from its blob', async () => {
    await rm(store.paths.layer(image.layers[0]?.diffId ?? ''), { recursive: true });
    await pullImage(reference, parts());
    expect(registry.count(/blobs/)).toBe(0);
    expect(await store.layers.get(image.layers[0]?.diffId ?? '')).toBeDefined();
  });

  it('a blob that was removed or cut, without unpacking again', async () => {
    const [first, second] = image.layers.map((layer) => store.blobs.path(layer.digest)) as [string, string];
    const before = (await lstat(store.paths.layer(image.layers[0]?.diffId ?? ''))).ino;
    await unlink(first);
    await truncate(second, 100);
    await pullImage(reference, parts());
    expect(statSync(second).size).toBe(image.layers[1]?.blob.length);
    expect(digestOf(await readFile(first))).toBe(image.layers[0]?.digest);
    expect((await lstat(store.paths.layer(image.layers[0]?.diffId ?? ''))).ino).toBe(before);
  });

  it.each(['manifest', 'config'] as const)('a damaged %s', async (which) => {
    const digest = which === 'manifest' ? image.digest : image.configDigest;
    writeFileSync(store.blobs.path(digest), '{}');
    await expect(store.images.get(reference)).rejects.toEqual(coded('ERR_STORE'));
    expect((await pullImage(reference, parts())).digest).toBe(image.digest);
    expect(digestOf(await readFile(store.blobs.path(digest)))).toBe(digest);
  });
});

describe('chains', () => {
  it('take folders without an entry from the layer below', async () => {
    const base = buildLayer([
      { name: 'priv/', type: '5', mode: 0o700, uid: 7, gid: 8 },
      { name: 'priv/a', content: 'a' },
    ]);
    const top = buildLayer([{ name: 'priv/b', content: 'b' }]);
    const pulled = await pullImage(registry.addImage('implicit:1', buildImage([base, top])), parts());
    const fix = store.paths.fix(pulled.chain[1] ?? '');
    expect(lstatSync(join(fix, 'diff/priv'))).toMatchObject({ mode: 0o40700, uid: 7, gid: 8 });
    expect(readdirSync(join(fix, 'diff/priv'))).toEqual([]);
    expect(lstatSync(join(store.layers.diffFolder(top.diffId), 'priv')).mode).toBe(0o40755);
  });

  it('link to files of lower layers', async () => {
    const base = buildLayer([
      { name: 'usr/', type: '5' },
      { name: 'usr/lib/', type: '5' },
      { name: 'lib', type: '2', link: 'usr/lib' },
      { name: 'usr/lib/a', content: 'one inode' },
    ]);
    const top = buildLayer([{ name: 'b/c', type: '1', link: 'lib/a' }]);
    const pulled = await pullImage(registry.addImage('link:1', buildImage([base, top])), parts());
    const linked = join(store.paths.fix(pulled.chain[1] ?? ''), 'diff/b/c');
    expect(lstatSync(linked).ino).toBe(lstatSync(join(store.layers.diffFolder(base.diffId), 'usr/lib/a')).ino);
    const dangling = buildImage([base, buildLayer([{ name: 'd', type: '1', link: 'nowhere' }])]);
    await expect(pullImage(registry.addImage('link:2', dangling), parts())).rejects.toEqual(
      coded('ERR_LAYER', /no layer has/),
    );
  });

  it('hide whiteouts in folders that no lower layer has', async () => {
    const base = buildLayer([{ name: 'etc/', type: '5' }]);
    const top = buildLayer([{ name: 'only/', type: '5', mode: 0o711 }, { name: 'only/.wh.x' }, { name: 'etc/.wh.y' }]);
    const pulled = await pullImage(registry.addImage('white:1', buildImage([base, top])), parts());
    const diff = join(store.paths.fix(pulled.chain[1] ?? ''), 'diff');
    expect(readdirSync(diff)).toEqual(['only']);
    expect(lstatSync(join(diff, 'only')).mode).toBe(0o40711);
  });

  it('decide once', async () => {
    const image = randomImage(41);
    const pulled = await pullImage(registry.addImage('same:1', image), parts());
    expect(readdirSync(store.paths.fixes)).toHaveLength(1);
    expect(readdirSync(store.paths.fix(pulled.chain[1] ?? ''))).toEqual([]);
  });
});

describe('the store', () => {
  it('is closed to others, and says so when it is not', async () => {
    await mkdir(store.paths.root);
    await chmod(store.paths.root, 0o755);
    await expect(pullImage(registry.addImage('app:1', randomImage(51)), parts())).rejects.toEqual(
      coded('ERR_STORE', /0700/),
    );
    await chmod(store.paths.root, 0o700);
    await pullImage(registry.addImage('app:1', randomImage(51)), parts());
  });

  it('sweeps what the dead left, and not what the living use', async () => {
    await store.open();
    await store.close();
    const living = await store.makeTemporary();
    await mkdir(join(store.paths.temporary, 'dead/diff/deep'), { recursive: true });
    const other = new Store({ root: store.paths.root });
    await other.open();
    await other.close();
    expect(readdirSync(store.paths.temporary)).toEqual([living.path.split('/').at(-1)]);
    await living.remove();
    expect(readdirSync(store.paths.temporary)).toEqual([]);
  });

  it('keeps what it has when the index is damaged, and says so', async () => {
    await pullImage(registry.addImage('app:1', randomImage(52)), parts());
    await rename(store.paths.index, join(folder, 'index.json'));
    writeFileSync(store.paths.index, '{"manifests":[{"digest":"sha256:../../x"}]}');
    await expect(store.images.list()).rejects.toEqual(
      expect.objectContaining({ code: expect.stringMatching(/ERR_STORE|ERR_INVALID_DIGEST/) }),
    );
  });
});

it('does not follow what an image links to', async () => {
  const canary = join(folder, 'canary');
  await mkdir(canary);
  const layer = buildLayer([
    { name: 'out', type: '2', link: canary },
    { name: 'out/file', content: 'escaped' },
    { name: '../../up', content: 'escaped' },
  ]);
  const pulled = await pullImage(registry.addImage('escape:1', buildImage([layer])), parts()).catch(() => undefined);
  expect(readdirSync(canary)).toEqual([]);
  if (pulled) {
    expect(await readlink(join(store.layers.diffFolder(layer.diffId), 'out')).catch(() => canary)).toBe(canary);
  }
});
