import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Image } from '../../lib';
import { busyboxImage, TestBed } from '../support/busybox';
import { type BuiltImage, type BuiltLayer, buildImage, buildLayer } from '../support/random-image';
import type { TarEntry } from '../support/tar-builder';

// Chains of layers as real containers see them: many, none, the same again (docs/layers.md, part H).
let bed: TestBed;
let base: BuiltLayer;
const config = { config: { Env: ['PATH=/bin'], Cmd: ['/bin/sh'] } };

beforeAll(async () => {
  bed = await TestBed.make();
  base = busyboxImage().layers[0]!;
});
afterAll(async () => {
  await bed.remove();
});

// With entries of their own, so that these hundreds of layers need no look at what lies below them.
const folders: TarEntry[] = ['./', 'many/'].map((name) => ({ name, type: '5' }));

/** busybox below, then `count - 1` layers with a file each, and what else `more` gives for some. */
function tall(count: number, more: (index: number) => TarEntry[] = () => []): BuiltImage {
  const layers = Array.from({ length: count - 1 }, (_layer, at) =>
    buildLayer([...folders, { name: `many/${at + 1}`, content: `layer ${at + 1}` }, ...more(at + 1)]),
  );
  return buildImage([base, ...layers], config);
}

const shell = async (image: string | Image, script: string): Promise<string> => {
  const { stdout } = await bed.runtime.exec(image, ['sh', '-c', script], { network: 'none', check: true });
  return stdout.trim();
};
const squashes = (): string[] =>
  readdirSync(join(bed.root, 'fixes'))
    .map((name) => join(bed.root, 'fixes', name, 'squash'))
    .filter((path) => existsSync(path));

test.each([130, 500])(
  'H70: %i layers run as they are',
  async (count) => {
    const image = await bed.add(`tall/layers:${count}`, tall(count));
    expect(await shell(image, `ls /many | wc -l; cat /many/1 /many/${count - 1}`)).toBe(
      `${count - 1}\nlayer 1layer ${count - 1}`,
    );
    expect(squashes()).toEqual([]);
  },
  120_000,
);

test('H70: of more layers than overlay takes, the oldest are made one, and stay as they are', async () => {
  const entries = (index: number): TarEntry[] =>
    ({
      2: [
        { name: 'priv/', type: '5', mode: 0o700, uid: 7, gid: 8 },
        { name: 'priv/old', content: 'old' },
        { name: 'gone/', type: '5' },
        { name: 'gone/x' },
        { name: 'one', content: 'one file', mode: 0o4755, pax: { 'SCHILY.xattr.user.kept': 'yes' } },
        { name: 'two', type: '1', link: 'one' },
      ],
      3: [{ name: '.wh.gone' }, { name: 'priv/.wh.old' }],
      4: [{ name: 'priv/new', content: 'new' }],
      510: [{ name: '.wh.two' }, { name: 'priv/newest', content: 'newest' }, { name: 'three', type: '1', link: 'one' }],
    })[index] ?? [];
  const built = tall(520, entries);
  const image = await bed.add('tall/layers:520', built);
  expect(squashes()).toHaveLength(1);
  const script = [
    'ls /many | wc -l; cat /many/1 /many/519; echo',
    'stat -c "%a %u %g" /priv; ls /priv | tr "\\n" " "; echo',
    'stat -c "%a %s" /one; ls -d /gone /two 2>/dev/null; [ /one -ef /three ] && echo same',
  ];
  const seen = '519\nlayer 1layer 519\n700 7 8\nnew newest \n4755 8\nsame';
  expect(await shell(image, script.join('; '))).toBe(seen);

  // A layer of the squashed ones is what it was unpacked to.
  const record = built.layers[2]!;
  const original = lstatSync(join(bed.root, 'layers', record.diffId.slice(7), 'diff', 'one'));
  expect(original).toMatchObject({ nlink: 2, mode: 0o104755 });

  // All that was derived can be made again, and an image that grew from this one shares it.
  const [squash] = squashes() as [string];
  spawnSync('rm', ['-r', join(bed.root, 'fixes')]);
  mkdirSync(join(bed.root, 'fixes'));
  const other = bed.newRuntime();
  const { stdout } = await other.exec(image, ['sh', '-c', script.join('; ')], { network: 'none' });
  expect(stdout.trim()).toBe(seen);
  await other.close();
  const grown = buildImage([...built.layers, buildLayer([{ name: 'grown', content: 'grown' }])], config);
  expect(await shell(await bed.add('tall/layers:521', grown), 'cat /grown /many/519')).toBe('grownlayer 519');
  expect(squashes()).toEqual([squash]);
}, 180_000);

test('H70: an image of no layers can be made a container, and has nothing to run', async () => {
  const image = await bed.add('none/scratch:1', buildImage([], config));
  const container = await bed.runtime.create(image, { network: 'none', command: ['/nothing'] });
  await expect(container.start()).rejects.toMatchObject({ code: 'ERR_COMMAND_NOT_FOUND', exitCode: 127 });
  await container.remove();
  const program = { source: '/usr/bin/busybox', target: '/busybox', type: 'bind', readOnly: true } as const;
  const { stdout } = await bed.runtime.exec(image, ['/busybox', 'ls', '-a', '/'], {
    network: 'none',
    mounts: [program],
  });
  expect(stdout.split('\n')).toEqual(expect.arrayContaining(['busybox', 'dev', 'proc']));
  expect(stdout).not.toContain('bin\n');
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
});

test('H70: a layer that comes again counts where it is topmost', async () => {
  const first = buildLayer([{ name: 'f', content: 'first' }, { name: '.wh.g' }]);
  const second = buildLayer([
    { name: 'f', content: 'second' },
    { name: 'g', content: 'g' },
  ]);
  const empty = buildLayer([]);
  const image = buildImage([base, empty, first, empty, second, first, empty], config);
  const pulled = await bed.add('again/layers:1', image);
  expect(await shell(pulled, 'cat /f; ls /g 2>/dev/null; true')).toBe('first');
  const other = buildImage([base, first, second], config);
  expect(await shell(await bed.add('again/layers:2', other), 'cat /f /g')).toBe('secondg');
});

test('H71: one layer in two chains takes what lies below it in each', async () => {
  const below = (mode: number): BuiltLayer => buildLayer([{ name: 'd/', type: '5', mode }]);
  const shared = buildLayer([{ name: 'd/f', content: 'f' }]);
  const image = (mode: number): BuiltImage => buildImage([base, below(mode), shared], config);
  const closed = await bed.add('shared/layers:closed', image(0o700));
  const open = await bed.add('shared/layers:open', image(0o1777));
  expect(await shell(closed, 'stat -c %a /d')).toBe('700');
  expect(await shell(open, 'stat -c %a /d')).toBe('1777');
  const layer = join(bed.root, 'layers', shared.diffId.slice(7), 'diff/d');
  expect(lstatSync(layer).mode & 0o7777).toBe(0o755);
  expect(readFileSync(join(layer, 'f'), 'utf8')).toBe('f');
});

test('H75: layers named by SHA-512', async () => {
  const sha512 = (bytes: Buffer): string => `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
  const plain = buildLayer([{ name: 'f', content: 'of sha512' }]);
  const layer = { ...plain, diffId: sha512(plain.tar), digest: sha512(plain.blob) };
  const image = await bed.add('long/digests:1', buildImage([base, layer], config));
  expect(await shell(image, 'cat /f')).toBe('of sha512');
});

test('H70: a manifest and a config that differ in their number of layers are no image', async () => {
  const rootfs = { type: 'layers', diff_ids: [base.diffId] };
  const image = buildImage([base, buildLayer([{ name: 'f' }])], { ...config, rootfs });
  await expect(bed.add('odd/counts:1', image)).rejects.toMatchObject({ code: 'ERR_INVALID_IMAGE' });
});

test('H72: a config of another kind of root file system is refused', async () => {
  const rootfs = { type: 'blocks', diff_ids: [base.diffId] };
  await expect(bed.add('odd/rootfs:1', buildImage([base], { rootfs }))).rejects.toMatchObject({
    code: 'ERR_INVALID_IMAGE',
  });
});

test('H75: a layer of another size than promised is refused, inline or not', async () => {
  const layer = buildLayer([{ name: 'inline', content: 'x' }]);
  const image = buildImage([base, layer], config);
  const changed = (more: object): string => {
    const document = JSON.parse(image.manifest.toString()) as { layers: object[] };
    document.layers[1] = { ...document.layers[1], ...more };
    return bed.registry.addManifest(
      `odd/size:${Math.random().toString(36).slice(2)}`,
      Buffer.from(JSON.stringify(document)),
    );
  };
  bed.registry.addImage('odd/size:base', image);
  const data = layer.blob.toString('base64');
  for (const more of [
    { size: layer.blob.length + 1 },
    { size: layer.blob.length - 1 },
    { size: layer.blob.length - 1, data },
  ]) {
    await expect(bed.runtime.pull(changed(more))).rejects.toMatchObject({
      code: expect.stringMatching(/ERR_DIGEST_MISMATCH|ERR_INVALID_IMAGE|ERR_REGISTRY/),
    });
  }
  bed.registry.seen.length = 0;
  expect(await shell(await bed.runtime.pull(changed({ data })), 'cat /inline')).toBe('x');
  expect(bed.registry.seen.filter(({ path }) => path.endsWith(layer.digest))).toEqual([]);
});

test.each([
  ['bytes', '1m', 'big'],
  ['entries', 2, 'three'],
  ['depth', 3, 'a/b/c/d'],
] as const)(
  'G67: a layer over the limit of %s is refused, and allowed by whoever raises it',
  async (limit, value, entry) => {
    const layer = buildLayer([
      { name: 'one' },
      { name: 'big', content: Buffer.alloc(2 * 1024 * 1024) },
      { name: 'three' },
      { name: 'a/b/c/d' },
    ]);
    const reference = bed.registry.addImage(`limit/${limit}:1`, buildImage([layer], { author: limit }));
    const strict = bed.newRuntime({ unpackLimits: { [limit]: value } });
    const error: unknown = await strict.pull(reference).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_LAYER', step: `limit ${limit}`, details: { limit, path: entry } });
    expect((error as Error).message).toContain(`new Runtime({ unpackLimits: { ${limit}: … } })`);
    await strict.close();
    expect(existsSync(join(bed.root, 'layers', layer.diffId.slice(7)))).toBe(false);
    const image = await bed.runtime.pull(reference);
    await image.remove();
  },
);
