import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';

import type { Image, Progress } from '../../lib';
import { digestOf } from '../../lib/oci/digest';
import { busyboxImage, TestBed } from '../support/busybox';
import { cachedLayer } from '../support/cached-layer';
import { tarListing } from '../support/tar-tree';
import { buildTar } from '../support/tar-builder';

let bed: TestBed;
let archive: Buffer;
beforeAll(async () => {
  bed = await TestBed.make();
  archive = busyboxImage().layers[0]!.tar;
});
afterAll(async () => {
  await bed.remove();
});

// What is in the store, as names of files.
function content(): string[] {
  return ['blobs/sha256', 'layers', 'tmp', 'fixes'].flatMap((folder) =>
    readdirSync(join(bed.root, folder)).map((name) => `${folder}/${name}`),
  );
}

async function* inPieces(bytes: Buffer, size = 10_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('an archive becomes an image that runs, with the configuration it was given', async () => {
  const created = new Date('2026-01-02T03:04:05Z');
  const image = await bed.runtime.import(Readable.from(inPieces(archive)), {
    reference: 'mine/imported:1',
    created,
    config: {
      env: { PATH: '/bin', GREETING: 'a b' },
      entrypoint: ['/bin/sh', '-c'],
      command: ['echo $GREETING; id -u; pwd'],
      user: 'app',
      workdir: '/home/app',
      ports: ['80/tcp', '53/udp'],
      volumes: ['/data'],
      labels: { kind: 'imported' },
      stopSignal: 'SIGINT',
      healthcheck: { test: ['CMD', 'true'], intervalMs: 1500, retries: 2 },
    },
  });
  expect(image).toMatchObject({
    references: ['mine/imported:1'],
    layers: [digestOf(archive)],
    created,
    config: {
      env: { PATH: '/bin', GREETING: 'a b' },
      entrypoint: ['/bin/sh', '-c'],
      user: 'app',
      workdir: '/home/app',
      ports: ['80/tcp', '53/udp'],
      volumes: ['/data'],
      labels: { kind: 'imported' },
      stopSignal: 'SIGINT',
      healthcheck: { test: ['CMD', 'true'], intervalMs: 1500, retries: 2 },
    },
  });
  expect(await image.history()).toMatchObject([{ comment: 'Imported from -', created, size: archive.length }]);
  const { exitCode, stdout } = await bed.runtime.exec(image, ['echo $GREETING; id -u; pwd'], { network: 'none' });
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'a b\n1000\n/home/app\n' });
  const again = await bed.runtime.import(Readable.from(inPieces(archive)), { created, config: image.config });
  expect(again.id).toBe(image.id);
  await image.remove();
});

test('skopeo reads what import wrote', async () => {
  const image = await bed.runtime.import(Readable.from([archive]), { reference: 'mine/readable:1' });
  const { status, stdout, stderr } = spawnSync('skopeo', ['inspect', `oci:${bed.root}:docker.io/mine/readable:1`], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ Digest: image.digest, Os: 'linux' });
  await image.remove();
});

test('gzip and zstd stay as they were given; the image is the same but for its blob', async () => {
  const file = join(bed.folder, 'archive');
  writeFileSync(file, gzipSync(archive));
  const progress: Progress[] = [];
  const zipped = await bed.runtime.import(file, { message: 'by hand', onProgress: (each) => progress.push(each) });
  expect(zipped.layers).toEqual([digestOf(archive)]);
  expect(await zipped.history()).toMatchObject([{ comment: 'by hand', size: archive.length }]);
  expect(progress.at(-1)).toMatchObject({ phase: 'done', current: gzipSync(archive).length });
  expect(progress.some(({ phase, total }) => phase === 'extracting' && total === gzipSync(archive).length)).toBe(true);
  const zstd = spawnSync('zstd', ['-qc'], { input: archive, maxBuffer: 1 << 28 }).stdout;
  const other = await bed.runtime.import(Readable.from([zstd]));
  expect(other.layers).toEqual(zipped.layers);
  for (const blob of [gzipSync(archive), zstd]) {
    expect(readFileSync(join(bed.root, 'blobs', ...digestOf(blob).split(':'))).equals(blob)).toBe(true);
  }
  await zipped.remove();
  await other.remove();
});

test('what export gave is imported to the same tree, and runs', async () => {
  const script =
    'mkdir -p /a/b && echo x > /a/b/c && ln /a/b/c /d && ln -s /a /e && mkfifo /f && chown 7:8 /f && chmod 4711 /d';
  const first = await bed.runtime.run(bed.busybox, { network: 'none', command: ['sleep', '100'] });
  await first.exec(['sh', '-c', script], { check: true });
  const tar = await buffer(await first.export());
  const image = await bed.runtime.import(await first.export(), {
    reference: 'again',
    config: { env: { PATH: '/bin' } },
  });
  expect(image.layers).toEqual([digestOf(tar)]);
  const second = await bed.runtime.create('again', { network: 'none', command: ['sleep', '1'] });
  const theirs = tarListing(await buffer(await second.export()));
  // The root itself is the new container's own, as in Docker.
  expect(theirs.slice(1)).toEqual(tarListing(tar).slice(1));
  expect((await bed.runtime.exec('again', ['cat', '/d'], { network: 'none' })).stdout).toBe('x\n');
  await second.close();
  await first.close();
  await image.remove();
});

test('a folder is packed; links in it lead nowhere else', async () => {
  const folder = join(bed.folder, 'rootfs');
  mkdirSync(join(folder, 'bin'), { recursive: true });
  writeFileSync(join(folder, 'bin/busybox'), readFileSync('/usr/bin/busybox'));
  chmodSync(join(folder, 'bin/busybox'), 0o755);
  symlinkSync('busybox', join(folder, 'bin/cat'));
  symlinkSync('/etc', join(folder, 'outside'));
  const image = await bed.runtime.import(folder, { config: { command: ['/bin/cat', '/outside/passwd'] } });
  const { exitCode, stderr } = await bed.runtime.exec(image, ['/bin/cat', '/outside/passwd'], { network: 'none' });
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/outside\/passwd/) });
  expect(await image.history()).toMatchObject([{ comment: `Imported from ${folder}` }]);
  await image.remove();
});

test('whiteouts in an archive hide nothing and are not seen', async () => {
  const more = [
    { name: '.wh.gone', content: '' },
    { name: 'var/.wh..wh..opq', content: '' },
  ];
  const image = await bed.runtime.import(Readable.from([buildTar([...more, { name: 'var/kept', content: 'k' }])]));
  const container = await bed.runtime.create(image, { network: 'none', command: ['/x'] });
  const names = tarListing(await buffer(await container.export())).map((line) => line.split(' ').at(-1));
  expect(names.filter((name) => /wh|gone|var/.test(name!))).toEqual(['var/', 'var/kept']);
  await container.close();
  await image.remove();
});

test('a Debian root file system is imported and runs', async () => {
  const image = await bed.runtime.import(cachedLayer('base'), {
    reference: 'debian:imported',
    config: { env: { PATH: '/usr/bin:/bin' }, command: ['bash'] },
  });
  const { stdout } = await bed.runtime.exec(image, ['sh', '-c', '. /etc/os-release; echo $ID; dpkg --list | wc -l'], {
    network: 'none',
  });
  expect(stdout).toMatch(/^debian\n\d{2,}\n$/);
  await image.remove();
}, 600_000);

describe('after a failure nothing is left', () => {
  let before: string[];
  let images: string[];
  beforeEach(async () => {
    before = content();
    images = (await bed.runtime.images()).map(({ id }) => id);
  });
  afterEach(async () => {
    expect(content()).toEqual(before);
    expect((await bed.runtime.images()).map(({ id }) => id)).toEqual(images);
  });

  const fails = async (source: string | Readable, code: string, message: RegExp): Promise<void> => {
    const error: unknown = await bed.runtime.import(source, { reference: 'never' }).catch((each: unknown) => each);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  };

  test('of a stream that breaks, ends early, or is no archive', async () => {
    async function* breaking(): AsyncGenerator<Buffer> {
      yield archive.subarray(0, 100_000);
      throw new Error('the cable was pulled');
    }
    await fails(Readable.from(breaking()), 'ERR_ARCHIVE', /the stream.*the cable was pulled/);
    await fails(Readable.from([archive.subarray(0, 100_000)]), 'ERR_LAYER', /unpack the archive/);
    await fails(Readable.from([gzipSync(archive).subarray(0, 100_000)]), 'ERR_LAYER', /inflate/);
    await fails(Readable.from([Buffer.alloc(5000, 'no archive ')]), 'ERR_LAYER', /no tar archive/);
    await fails(Readable.from([]), 'ERR_LAYER', /empty/);
    await fails(join(bed.folder, 'missing'), 'ERR_ARCHIVE', /missing.*ENOENT/);
    await fails(Readable.from([buildTar([{ name: 'dev', type: '3' }])]), 'ERR_LAYER', /./);
  });

  test('of a compression that layers do not have, with what to do', async () => {
    const xz = spawnSync('xz', ['-c'], { input: Buffer.alloc(10_240) }).stdout;
    await fails(Readable.from([xz]), 'ERR_LAYER', /xz -dc FILE \| dinghy import -/);
  });

  test('of options that are wrong, before anything is read', async () => {
    const bad = async (options: object, option: string): Promise<void> => {
      const promise = bed.runtime.import('/nothing', options);
      await expect(promise).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION', details: { option } });
    };
    await bad({ refernce: 'x' }, 'refernce');
    await bad({ config: { cmd: ['x'] } }, 'cmd');
    await bad({ config: { command: 'x' } }, 'config.command');
    await bad({ config: { env: { 'A=B': 'x' } } }, 'config.env.A=B');
    await bad({ config: { workdir: 'relative' } }, 'config.workdir');
    await bad({ config: { ports: ['http'] } }, 'config.ports[0]');
    await bad({ config: { stopSignal: 'SIGNOPE' } }, 'config.stopSignal');
    await bad({ config: { healthcheck: { test: ['true'] } } }, 'config.healthcheck.test');
    await bad({ created: 'yesterday' }, 'created');
    await expect(bed.runtime.import(5 as never)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await expect(bed.runtime.import('/x', { reference: 'UPPER' })).rejects.toMatchObject({
      code: 'ERR_INVALID_REFERENCE',
    });
    await expect(bed.runtime.import('/x', { reference: `x@sha256:${'0'.repeat(64)}` })).rejects.toMatchObject({
      code: 'ERR_INVALID_REFERENCE',
    });
  });

  test('of an abort, at once, though the stream is silent', async () => {
    const silent = new Readable({ read: () => undefined });
    silent.push(archive.subarray(0, 100_000));
    const controller = new AbortController();
    setTimeout(() => controller.abort('enough'), 300);
    const startedMs = performance.now();
    await expect(bed.runtime.import(silent, { signal: controller.signal })).rejects.toMatchObject({
      code: 'ABORT_ERR',
      cause: 'enough',
    });
    expect(performance.now() - startedMs).toBeLessThan(500);
    expect(silent.destroyed).toBe(true);
  });

  test('of garbage whose sender falls silent', async () => {
    const silent = new Readable({ read: () => undefined });
    silent.push(Buffer.alloc(600_000, 'no archive '));
    await fails(silent, 'ERR_LAYER', /no tar archive/);
  });

  test('of a listener that throws', async () => {
    const onProgress = (): void => {
      throw new Error('from the listener');
    };
    await expect(bed.runtime.import(Readable.from([archive]), { onProgress })).rejects.toThrow('from the listener');
  });
});

test('a full disk is told as such, and has nothing of it afterwards', async () => {
  const disk = join(bed.folder, 'disk');
  mkdirSync(disk);
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'dinghy-full', disk]).status).toBe(0);
  const root = join(disk, 'root');
  const runtime = bed.newRuntime({ root });
  try {
    const promise = runtime.import(Readable.from(inPieces(archive)), { reference: 'too/large:1' });
    await expect(promise).rejects.toMatchObject({ code: 'ERR_NO_SPACE' });
    for (const folder of ['blobs/sha256', 'layers', 'tmp']) expect(readdirSync(join(root, folder))).toEqual([]);
    expect(await runtime.images()).toEqual([]);
  } finally {
    await runtime.close();
    expect(spawnSync('umount', [disk]).status).toBe(0);
  }
});

test('ten at once, of one archive, are one image', async () => {
  const created = 0;
  const all = await Promise.all(
    Array.from({ length: 10 }, () => bed.runtime.import(Readable.from([archive]), { created, reference: 'ten' })),
  );
  expect(new Set(all.map((image: Image) => image.id)).size).toBe(1);
  await all[0]!.remove();
});
