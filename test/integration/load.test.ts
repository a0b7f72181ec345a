import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

import { loadImages } from '../../lib/archive/load';
import { pullImage } from '../../lib/pull/pull';
import { digestOf } from '../../lib/oci/digest';
import { Store } from '../../lib/store/store';
import { blobsOf, dockerArchive, ociArchive, tarOf, zstdFrame } from '../support/archives';
import { type BuiltImage, buildImage, buildLayer, randomImage } from '../support/random-image';
import { TestRegistry } from '../support/registry';
import type { TarEntry } from '../support/tar-builder';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

let registry: TestRegistry;
let folder: string;
let store: Store;

beforeAll(async () => {
  registry = await TestRegistry.start();
});
afterAll(() => registry.stop());
beforeEach(() => {
  folder = temporaryFolder('load');
  store = new Store({ root: join(folder, 'root') });
});
afterEach(async () => {
  await store.close();
  removeFolder(folder);
});

const image = randomImage(71, { layers: 3 });
const layer = image.layers[1]!;
const flipped = (bytes: Buffer): Buffer => Buffer.from(bytes.map((byte, at) => (at === 600 ? byte ^ 1 : byte)));
const indexOf = (...entries: object[]): object => ({ schemaVersion: 2, manifests: entries });
const entryOf = (built: BuiltImage, more: object = {}): object => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: built.digest,
  size: built.manifest.length,
  ...more,
});
const called = (name: string): object => ({ annotations: { 'org.opencontainers.image.ref.name': name } });

function write(bytes: Buffer | readonly TarEntry[], name = 'archive.tar'): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.isBuffer(bytes) ? bytes : tarOf(bytes));
  return path;
}

/** Nothing in the store but its skeleton. */
function expectEmpty(): void {
  const list = (name: string): string[] => readdirSync(join(folder, 'root', name));
  expect([list('layers'), list('blobs/sha256'), list('tmp'), list('fixes')]).toEqual([[], [], [], []]);
}

describe('skopeo writes, dinghy loads:', () => {
  const formats: [string, (path: string) => string, string][] = [
    ['docker-archive', (path) => `docker-archive:${path}:team/app:1`, 'team/app:1'],
    ['oci-archive', (path) => `oci-archive:${path}:docker.io/team/app:1`, 'team/app:1'],
    ['oci', (path) => `oci:${path}:team/app:2`, 'team/app:2'],
  ];
  it.each(formats)('%s', async (format, target, name) => {
    const reference = registry.addImage('team/app:1', image);
    const path = join(folder, 'written');
    // Not synchronously: the registry lives in this process.
    await promisify(execFile)('skopeo', [
      'copy',
      '-q',
      '--src-tls-verify=false',
      `docker://${reference}`,
      target(path),
    ]);
    const [loaded, ...others] = await loadImages(path, { store });
    expect(others).toEqual([]);
    expect(loaded).toMatchObject({
      id: image.configDigest,
      references: [name],
      layers: image.layers.map(({ diffId }) => diffId),
    });
    // A Docker archive has no manifests of images, and plain layers.
    expect(loaded?.digest === image.digest).toBe(format !== 'docker-archive');
    expect(readdirSync(join(store.layers.diffFolder(image.layers[0]!.diffId), 'data-71'))).toHaveLength(3);
    expect(readdirSync(store.paths.temporary)).toEqual([]);
    for (const digest of await store.blobs.list()) {
      expect(await store.blobs.verify(digest)).toBe(true);
    }
  });
});

describe('archives of old engines', () => {
  const empty = buildLayer([]);
  const repeated = buildImage([image.layers[0]!, empty, image.layers[1]!, empty]);

  it.each([undefined, '1', '2'] as const)('with layers twice, the second as a link of type %s', async (type) => {
    const path = write(dockerArchive([{ image: repeated, tags: ['old/app:1', 'old/app:latest'] }], type));
    const [loaded] = await loadImages(path, { store });
    expect(loaded).toMatchObject({ id: repeated.configDigest, references: ['old/app:1', 'old/app:latest'] });
    expect(loaded?.layers).toHaveLength(4);
  });

  it('with several images, of which one has no name', async () => {
    const other = randomImage(72);
    const archive = dockerArchive([
      { image, tags: ['one:1'] },
      { image: other, tags: [] },
    ]);
    const loaded = await loadImages(write(archive), { store });
    expect(loaded.map(({ id, references }) => [id, references])).toEqual([
      [image.configDigest, ['one:1']],
      [other.configDigest, []],
    ]);
    expect(await store.images.list()).toHaveLength(2);
    // Again: everything is here, and nothing doubles.
    await loadImages(write(archive), { store });
    expect(await store.images.list()).toHaveLength(2);
  });

  it('are the image that is here already, with its manifest', async () => {
    const oci = write(
      ociArchive(blobsOf(image), indexOf(entryOf(image, called('docker.io/library/app:1')))),
      'oci.tar',
    );
    await loadImages(oci, { store });
    const [loaded] = await loadImages(write(dockerArchive([{ image, tags: ['app:2'] }])), { store });
    expect(loaded).toMatchObject({ id: image.configDigest, digest: image.digest });
    expect((await store.images.list()).map(({ references }) => references)).toEqual([['app:1', 'app:2']]);
  });

  const first = image.layers[0]!;
  it.each([
    ['plain', first.tar],
    ['compressed otherwise', gzipSync(first.tar, { level: 1 })],
    ['as they came', first.blob],
  ])('are compared with what is here, %s', async (_how, content) => {
    const oci = write(ociArchive(blobsOf(image), indexOf(entryOf(image))), 'oci.tar');
    await loadImages(oci, { store });
    const given = (bytes: Buffer): TarEntry[] => {
      const entries = dockerArchive([{ image, tags: ['app:2'] }]);
      const at = entries.findIndex(({ name }) => name.endsWith('layer.tar'));
      entries[at] = { ...entries[at]!, content: bytes };
      return entries;
    };
    const wrong = write(given(content === first.tar ? flipped(first.tar) : gzipSync(flipped(first.tar))));
    await expect(loadImages(wrong, { store })).rejects.toMatchObject({
      code: 'ERR_DIGEST_MISMATCH',
      details: { diffId: first.diffId },
    });
    expect((await store.images.list()).map(({ references }) => references)).toEqual([[]]);
    const [loaded] = await loadImages(write(given(content)), { store });
    expect(loaded).toMatchObject({ digest: image.digest, references: ['app:2'] });
    expect(readdirSync(join(folder, 'root/tmp'))).toEqual([]);
  });

  it.each([
    [
      'a pull',
      async () => {
        registry.reset();
        return pullImage(registry.addImage('real:1', image), { store, registry: { env: { HOME: folder } } });
      },
    ],
    [
      'an OCI archive',
      async () => {
        const name = called(`${registry.host}/real:1`);
        const [loaded] = await loadImages(write(ociArchive(blobsOf(image), indexOf(entryOf(image, name))), 'oci.tar'), {
          store,
        });
        return loaded;
      },
    ],
  ])('are one image with what %s brings later, under all names, by its manifest', async (_how, bring) => {
    const [before] = await loadImages(write(dockerArchive([{ image, tags: ['app:1', 'app:2'] }])), { store });
    await store.references.tag('docker.io/library/app:3', before!.digest);
    expect(before?.digest).not.toBe(image.digest);
    expect(await bring()).toMatchObject({ id: image.configDigest, digest: image.digest });
    const references = ['app:1', 'app:2', 'app:3', `${registry.host}/real:1`];
    const [found, ...others] = await store.images.list();
    expect(others).toEqual([]);
    expect(found).toMatchObject({ digest: image.digest, references });
    // The plain layers, which only the made-up manifest named, go with it.
    await store.collect();
    const blobs = await store.blobs.list();
    expect(blobs.sort()).toEqual([...blobsOf(image).keys()].sort());
    // The other way round, and once more.
    await loadImages(write(dockerArchive([{ image, tags: ['app:4'] }])), { store });
    expect((await store.images.list()).map((each) => each.references)).toEqual([[...references, 'app:4']]);
    expect((await store.blobs.list()).sort()).toEqual(blobs);
  });

  it('whose images have the same config but stay two when each came with a manifest of its own', async () => {
    const packed = image.layers.map((each) => {
      const blob = gzipSync(each.tar, { level: 1 });
      return { ...each, blob, digest: digestOf(blob) };
    });
    const other = buildImage(packed, JSON.parse(image.config.toString()) as Record<string, unknown>);
    expect([other.configDigest, other.digest === image.digest]).toEqual([image.configDigest, false]);
    await loadImages(write(ociArchive(blobsOf(image), indexOf(entryOf(image)))), { store });
    await loadImages(write(ociArchive(blobsOf(other), indexOf(entryOf(other)))), { store });
    expect((await store.images.list()).map(({ digest }) => digest)).toEqual([image.digest, other.digest]);
  });

  it('name their content by SHA-512', async () => {
    const long = (bytes: Buffer): string => digestOf(bytes, 'sha512');
    const config = JSON.parse(image.config.toString()) as { rootfs: object };
    const diffIds = image.layers.map(({ tar }) => long(tar));
    const bytes = Buffer.from(JSON.stringify({ ...config, rootfs: { type: 'layers', diff_ids: diffIds } }));
    const place = (content: Buffer): string => `blobs/sha512/${long(content).slice(7)}`;
    const entries: TarEntry[] = [bytes, ...image.layers.map(({ blob }) => blob)].map((content) => ({
      name: 'longer than ustar takes',
      pax: { path: place(content) },
      content,
    }));
    const listed = [
      { Config: place(bytes), RepoTags: ['long:1'], Layers: image.layers.map(({ blob }) => place(blob)) },
    ];
    const path = write([...entries, { name: 'manifest.json', content: JSON.stringify(listed) }]);
    const [loaded] = await loadImages(path, { store });
    expect(loaded).toMatchObject({ id: long(bytes), layers: diffIds, references: ['long:1'] });
    // Again, with the layers compared by what they unpack to.
    expect(await loadImages(path, { store })).toEqual([loaded]);
    expect((await store.images.get(long(bytes))).digest).toBe(loaded!.digest);
  });

  it('bring their layers when one of the image here is missing', async () => {
    const oci = write(
      ociArchive(blobsOf(image), indexOf(entryOf(image, called('docker.io/library/app:1')))),
      'oci.tar',
    );
    await loadImages(oci, { store });
    const blob = (await store.images.get('app:1')).blobs[1]!;
    rmSync(store.blobs.path(blob.digest));
    const [loaded] = await loadImages(write(dockerArchive([{ image, tags: ['app:1'] }])), { store });
    expect(loaded).toMatchObject({ id: image.configDigest, references: ['app:1'] });
    expect(loaded?.digest).not.toBe(image.digest);
  });

  it('before 1.10 are refused, with what to do', async () => {
    const path = write([
      { name: 'repositories', content: '{"a":{"1":"x"}}' },
      { name: 'x/layer.tar', content: 'x' },
    ]);
    await expect(loadImages(path, { store })).rejects.toMatchObject({
      code: 'ERR_INVALID_IMAGE',
      message: expect.stringContaining('1.10'),
    });
  });
});

it("skopeo's folders with one manifest are refused, with what to do", async () => {
  const path = join(folder, 'image.dir');
  mkdirSync(path);
  writeFileSync(join(path, 'version'), 'Directory Transport Version: 1.1\n');
  writeFileSync(join(path, 'manifest.json'), image.manifest);
  await expect(loadImages(path, { store })).rejects.toMatchObject({
    code: 'ERR_INVALID_IMAGE',
    message: expect.stringContaining('oci:'),
  });
});

describe('a stream, or a file, that is compressed', () => {
  const archive = tarOf(ociArchive(blobsOf(image), indexOf(entryOf(image, called('docker.io/library/app:1')))));
  it.each([
    ['plain', archive],
    ['gzip', gzipSync(archive)],
    ['zstd', zstdFrame(archive)],
  ])('%s', async (_name, bytes) => {
    const pieces = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_piece, at) =>
      bytes.subarray(at * 1000, at * 1000 + 1000),
    );
    const [loaded] = await loadImages(Readable.from(pieces), { store });
    expect(loaded).toMatchObject({ digest: image.digest, references: ['app:1'] });
    const [again] = await loadImages(write(bytes), { store: new Store({ root: join(folder, 'other') }) });
    expect(again?.digest).toBe(image.digest);
  });

  it('cut, flipped, or by xz, is refused, and nothing is left', async () => {
    const packed = gzipSync(archive);
    const flipped = Buffer.from(packed);
    flipped[packed.length - 6]! ^= 1;
    for (const [bytes, code] of [
      [packed.subarray(0, packed.length / 2), 'ERR_LAYER'],
      [flipped, 'ERR_LAYER'],
      [archive.subarray(0, archive.length / 2), 'ERR_INVALID_IMAGE'],
      [Buffer.from('fd377a585a000004', 'hex'), 'ERR_UNSUPPORTED_IMAGE'],
      [Buffer.from('this is no archive'.repeat(100)), 'ERR_INVALID_IMAGE'],
      [Buffer.alloc(0), 'ERR_INVALID_IMAGE'],
    ] as const) {
      await expect(loadImages(Readable.from([bytes]), { store })).rejects.toMatchObject({ code });
      expectEmpty();
    }
  });

  it('that says nothing is given up at once when aborted', async () => {
    const silent = new PassThrough();
    silent.write(archive.subarray(0, 5000));
    const controller = new AbortController();
    const loading = loadImages(silent, { store }, { signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const abortedAt = performance.now();
    controller.abort(new Error('enough'));
    await expect(loading).rejects.toMatchObject({ code: 'ABORT_ERR', cause: { message: 'enough' } });
    expect(performance.now() - abortedAt).toBeLessThan(200);
    expectEmpty();
  });
});

describe('names', () => {
  const load = (more: object): ReturnType<typeof loadImages> =>
    loadImages(write(ociArchive(blobsOf(image), indexOf(entryOf(image, more)))), { store });

  it("containerd's whole name goes before the tag that stands beside it", async () => {
    const annotations = { 'io.containerd.image.name': 'ghcr.io/a/b:3', 'org.opencontainers.image.ref.name': '3' };
    expect((await load({ annotations }))[0]?.references).toEqual(['ghcr.io/a/b:3']);
  });

  it('a tag alone names nothing', async () => {
    expect((await load(called('latest')))[0]?.references).toEqual([]);
  });

  it('move, and the image that had one stays without', async () => {
    await load(called('docker.io/library/app:1'));
    const fresh = randomImage(73);
    await loadImages(write(dockerArchive([{ image: fresh, tags: ['app:1'] }])), { store });
    expect((await store.images.get('app:1')).id).toBe(fresh.configDigest);
    expect((await store.images.get(image.configDigest)).references).toEqual([]);
  });

  it("with another image's digest are refused", async () => {
    const name = `docker.io/library/app@${randomImage(74).digest}`;
    await expect(load(called(name))).rejects.toMatchObject({ code: 'ERR_INVALID_IMAGE' });
    expectEmpty();
  });
});

describe('an index of several platforms', () => {
  const [arm, intel] = ['arm64', 'amd64'].map((architecture) =>
    buildImage([buildLayer([{ name: architecture, content: architecture }])], { architecture }),
  ) as [BuiltImage, BuiltImage];
  const nested = Buffer.from(
    JSON.stringify(
      indexOf(
        entryOf(arm, { platform: { os: 'linux', architecture: 'arm64' } }),
        entryOf(intel, { platform: { os: 'linux', architecture: 'amd64' } }),
        entryOf(randomImage(75), { platform: { os: 'unknown', architecture: 'unknown' } }),
      ),
    ),
  );
  const archive = (...present: BuiltImage[]): TarEntry[] =>
    ociArchive(
      new Map([...blobsOf(...present), [digestOf(nested), nested]]),
      indexOf({
        mediaType: 'application/vnd.oci.image.index.v1+json',
        digest: digestOf(nested),
        size: nested.length,
        ...called('docker.io/library/multi:1'),
      }),
    );

  it('gives the one that fits, of those that are there', async () => {
    const both = write(archive(arm, intel));
    expect((await loadImages(both, { store, platform: 'linux/arm64' }))[0]?.digest).toBe(arm.digest);
    expect((await loadImages(both, { store, platform: 'linux/amd64' }))[0]?.digest).toBe(intel.digest);
    await expect(loadImages(both, { store, platform: 'linux/s390x' })).rejects.toMatchObject({
      code: 'ERR_PLATFORM_NOT_FOUND',
    });
    // Saved for one platform: that one is meant.
    expect((await loadImages(write(archive(arm)), { store, platform: 'linux/amd64' }))[0]?.digest).toBe(arm.digest);
  });
});

describe('a hostile archive leaves nothing, inside or out:', () => {
  const good = (): TarEntry[] => dockerArchive([{ image, tags: ['app:1'] }]);
  const oci = (change: (blobs: Map<string, Buffer>) => void, index = indexOf(entryOf(image))): TarEntry[] => {
    const blobs = blobsOf(image);
    change(blobs);
    return ociArchive(blobs, index);
  };
  const manifest = (value: unknown): TarEntry[] => [
    ...good().filter(({ name }) => name !== 'manifest.json'),
    { name: 'manifest.json', content: JSON.stringify(value) },
  ];
  const cases: [string, () => TarEntry[], string][] = [
    ['a name that climbs', () => [{ name: '../../canary/x', content: 'x' }, ...good()], 'ERR_INVALID_IMAGE'],
    ['an absolute name', () => [{ name: '/canary/x', content: 'x' }, ...good()], 'ERR_INVALID_IMAGE'],
    ['a link out', () => [{ name: 'a', type: '2', link: '../../etc/passwd' }, ...good()], 'ERR_INVALID_IMAGE'],
    ['an absolute hard link', () => [{ name: 'a', type: '1', link: '/etc/passwd' }, ...good()], 'ERR_INVALID_IMAGE'],
    [
      'links in a circle',
      () => [
        { name: 'a', type: '2', link: 'b' },
        { name: 'b', type: '2', link: 'a' },
        ...manifest([{ Config: 'a', RepoTags: null, Layers: [] }]),
      ],
      'ERR_INVALID_IMAGE',
    ],
    ['a config elsewhere', () => manifest([{ Config: '../../etc/passwd', Layers: [] }]), 'ERR_INVALID_IMAGE'],
    ['a layer that is missing', () => good().filter(({ name }) => !name.endsWith('layer.tar')), 'ERR_INVALID_IMAGE'],
    ['a manifest.json that is none', () => manifest({ Config: 1 }), 'ERR_INVALID_IMAGE'],
    ['an empty manifest.json', () => manifest([]), 'ERR_INVALID_IMAGE'],
    ['a bad name', () => dockerArchive([{ image, tags: ['../../x'] }]), 'ERR_INVALID_IMAGE'],
    ['a huge manifest.json', () => manifest(['x'.repeat(5_000_000)]), 'ERR_INVALID_IMAGE'],
    [
      'another layer in the place of one',
      () => {
        const entries = good();
        const at = entries.findIndex(({ name }) => name.endsWith('layer.tar'));
        entries[at] = { ...entries[at]!, content: layer.tar };
        return entries;
      },
      'ERR_DIGEST_MISMATCH',
    ],
    ['a blob that is missing', () => oci((blobs) => blobs.delete(layer.digest)), 'ERR_INVALID_IMAGE'],
    ['a blob cut short', () => oci((blobs) => blobs.set(layer.digest, layer.blob.subarray(9))), 'ERR_INVALID_IMAGE'],
    ['a blob that was changed', () => oci((blobs) => blobs.set(layer.digest, flipped(layer.blob))), 'ERR_'],
    [
      'a config that was changed',
      () => oci((blobs) => blobs.set(image.configDigest, Buffer.concat([image.config.subarray(1), Buffer.from(' ')]))),
      'ERR_DIGEST_MISMATCH',
    ],
    [
      'a digest that is a path',
      () => oci(() => undefined, indexOf(entryOf(image, { digest: 'sha256:../../x' }))),
      'ERR_',
    ],
    ['no layout version', () => oci(() => undefined).filter(({ name }) => name !== 'oci-layout'), 'ERR_INVALID_IMAGE'],
  ];
  it.each(cases)('%s', async (_what, entries, code) => {
    const canary = join(folder, 'canary');
    mkdirSync(canary);
    await expect(loadImages(write(entries()), { store })).rejects.toMatchObject({
      code: expect.stringContaining(code),
      name: 'DinghyError',
    });
    expectEmpty();
    expect(readdirSync(canary)).toEqual([]);
    expect(await store.images.list()).toEqual([]);
  });

  it.each(['link', 'fifo', 'linked folder'])('a layout folder with a %s in it', async (what) => {
    const path = join(folder, 'layout');
    mkdirSync(join(path, 'blobs/sha256'), { recursive: true });
    for (const { name, type, content } of oci(() => undefined)) {
      if (type !== '5') {
        writeFileSync(join(path, name), content!);
      }
    }
    const victim = join(path, 'blobs/sha256', layer.digest.slice(7));
    if (what === 'linked folder') {
      execFileSync('mv', [join(path, 'blobs'), join(folder, 'elsewhere')]);
      symlinkSync('../elsewhere', join(path, 'blobs'));
    } else {
      rmSync(victim);
      if (what === 'link') {
        symlinkSync('/etc/passwd', victim);
      } else {
        execFileSync('mkfifo', [victim]);
      }
    }
    await expect(loadImages(path, { store })).rejects.toMatchObject({ code: 'ERR_INVALID_IMAGE' });
    expectEmpty();
  });

  it('too much of it', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    await expect(loadImages(Readable.from([bomb]), { store })).rejects.toMatchObject({ code: 'ERR_INVALID_IMAGE' });
    const path = write(dockerArchive([{ image, tags: [] }]));
    await expect(loadImages(path, { store, limits: { bytes: 2048 } })).rejects.toMatchObject({ code: 'ERR_LAYER' });
    expectEmpty();
    await expect(loadImages(join(folder, 'nowhere'), { store })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  });
});
