import { gzipSync } from 'node:zlib';

import { digestOf } from '../../lib/oci/digest';
import { type BuiltLayer, buildLayer, randomBytes, seededRandom } from './random-image';
import type { TarEntry } from './tar-builder';

/** One made image, bottom layer first, that shows one mechanism of layers. */
export interface Recipe {
  layers: BuiltLayer[];
  /** For readers that know no zstd: the same layers. */
  twin?: BuiltLayer[];
  /** Where we mean to differ from umoci, by path, and why. */
  differs?: Record<string, string>;
}

const folder = (name: string, more: Partial<TarEntry> = {}): TarEntry => ({ name, type: '5', ...more });
const file = (name: string, content = name, more: Partial<TarEntry> = {}): TarEntry => ({ name, content, ...more });
const symlink = (name: string, link: string): TarEntry => ({ name, type: '2', link });
const hardlink = (name: string, link: string): TarEntry => ({ name, type: '1', link });
const xattr = (name: string, value: string | Buffer): Record<string, string | Buffer> => ({
  [`SCHILY.xattr.${name}`]: value,
});
const stack = (...layers: TarEntry[][]): Recipe => ({ layers: layers.map((entries) => buildLayer(entries)) });

// cap_net_raw, effective, as VFS_CAP_REVISION_2.
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');

function plainAndTwice(): Recipe {
  const layer = buildLayer([folder('d/'), file('d/f')], false);
  return { layers: [layer, buildLayer([file('d/g')]), layer] };
}

/** Two gzip members, and zeros behind the end of the archive. */
function membersAndPadding(): Recipe {
  const { tar } = buildLayer([folder('d/'), file('d/f', 'x'.repeat(3000))]);
  const padded = Buffer.concat([tar, Buffer.alloc(10240)]);
  const blob = Buffer.concat([gzipSync(padded.subarray(0, 700)), gzipSync(padded.subarray(700))]);
  return { layers: [{ tar: padded, blob, diffId: digestOf(padded), digest: digestOf(blob) }] };
}

function sparse(): Recipe {
  const map = Buffer.alloc(512);
  map.write('2\n0\n3\n40000\n3\n');
  const pax = {
    'GNU.sparse.major': '1',
    'GNU.sparse.minor': '0',
    'GNU.sparse.name': 'real',
    'GNU.sparse.realsize': '50000',
  };
  const content = Buffer.concat([map, Buffer.from('abcdef')]);
  return stack([{ name: 'GNUSparseFile.1/real', content, pax }, file('after')]);
}

/** By name; every mechanism that layers have, each by itself. */
export const recipes: Readonly<Record<string, () => Recipe>> = {
  'spellings of names': () => stack([folder('./'), file('./a'), file('/b'), file('c/./../d//e'), folder('g/')]),
  'the root has attributes': () => stack([folder('./', { mode: 0o711, uid: 3, gid: 4 }), file('f')], [file('g')]),
  'whiteout of a file': () => stack([folder('d/'), file('d/a'), file('d/b')], [file('d/.wh.a', '')]),
  'whiteout of a folder': () => stack([folder('d/'), folder('d/sub/'), file('d/sub/x')], [file('d/.wh.sub', '')]),
  'whiteout of nothing': () => ({
    ...stack([folder('d/')], [file('d/.wh.none', ''), file('new/.wh.x', '')]),
    differs: { './new': 'the folder of a whiteout is made, as docker and containerd make it' },
  }),
  'whiteout in the first layer': () => stack([folder('d/'), file('d/.wh.x', ''), file('.wh.y', ''), file('d/f')]),
  'opaque before what is new': () =>
    stack([folder('d/'), file('d/old')], [folder('d/'), file('d/.wh..wh..opq', ''), file('d/new')]),
  'opaque after what is new': () =>
    stack([folder('d/'), folder('d/s/'), file('d/s/old')], [folder('d/'), file('d/new'), file('d/.wh..wh..opq', '')]),
  'opaque in a folder without entry': () =>
    stack([folder('d/', { mode: 0o700 }), file('d/x')], [file('d/.wh..wh..opq', '')]),
  'a folder deleted and made again': () =>
    stack(
      [folder('d/', { mode: 0o700 }), file('d/old')],
      [file('.wh.d', ''), folder('d/', { mode: 0o750 }), file('d/new')],
    ),
  'a file and its whiteout in one layer': () =>
    stack([folder('d/'), file('d/x', 'old')], [file('d/x', 'new'), file('d/.wh.x', '')]),
  'a whiteout in a deleted folder': () => ({
    ...stack([folder('d/'), file('d/x')], [file('.wh.d', ''), file('d/.wh.x', '')]),
    differs: { './d': 'the folder of a whiteout is made, as podman makes it here' },
  }),
  'hardlinks in a layer': () =>
    stack([file('a', 'one'), hardlink('b', 'a'), hardlink('d/c', 'a'), hardlink('e', '/b')]),
  'hardlinks to a lower layer': () =>
    stack(
      [folder('usr/'), file('usr/p', 'x', { mode: 0o4755 })],
      [hardlink('bin/p', 'usr/p'), hardlink('bin/q', '/usr/p')],
    ),
  'hardlink to a link': () => stack([symlink('l', 'nowhere'), hardlink('m', 'l')]),
  'hardlink whose source is replaced': () =>
    stack([file('a', '1'), hardlink('b', 'a'), file('a', '2')], [file('b', '3')]),
  'hardlink entry with other attributes': () =>
    stack([file('a', 'x', { mode: 0o640, uid: 5 }), { ...hardlink('b', 'a'), mode: 0o640, uid: 5 }]),
  'set-id and sticky bits': () =>
    stack([
      file('s', 'x', { mode: 0o4755, uid: 1 }),
      file('g', 'x', { mode: 0o2711, gid: 2 }),
      folder('t/', { mode: 0o1777 }),
    ]),
  'modes without rights': () =>
    stack([folder('closed/', { mode: 0 }), file('closed/f', 'x', { mode: 0 })], [file('closed/g')]),
  'large owners': () => stack([file('f', 'x', { pax: { uid: '4294967294', gid: '2097152' } })]),
  'attributes of users': () =>
    stack(
      [
        folder('d/', { pax: xattr('user.d', 'd') }),
        file('f', 'x', { pax: xattr('user.bin', Buffer.from([1, 0, 255, 10, 61])) }),
      ],
      [file('f', 'y', { pax: xattr('user.other', '2') }), file('d/child')],
    ),
  capabilities: () =>
    stack([file('ping', 'x', { mode: 0o755, uid: 1, pax: xattr('security.capability', capability) })]),
  'attributes of trust': () => ({
    ...stack([file('f', 'x', { pax: { ...xattr('trusted.mine', '1'), ...xattr('user.fine', '1') } })]),
    differs: { './f': 'trusted.* is never set: it is the host’s, and overlayfs reads its marks there' },
  }),
  'overlay marks in the archive': () => ({
    ...stack([folder('d/'), file('d/x')], [folder('d/', { pax: xattr('user.overlay.opaque', 'y') })]),
    differs: { './d': 'marks of overlayfs are never set: a rootless mount would obey them' },
  }),
  sparse,
  'long names': () =>
    stack([
      file('short', 'x', { pax: { path: `${'p'.repeat(200)}/${'n'.repeat(255)}` } }),
      { ...symlink('l', 'short'), pax: { linkpath: 't'.repeat(300) } },
    ]),
  'names that are no UTF-8': () => stack([file('x', 'latin', { pax: { path: Buffer.from('caf\xe9', 'latin1') } })]),
  devices: () =>
    stack([
      { name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 },
      { name: 'loop', type: '4', major: 7, minor: 300, gid: 6 },
    ]),
  fifos: () => stack([{ name: 'p', type: '6', mode: 0o622 }], [folder('p/'), file('p/x')]),
  'targets of links': () =>
    stack([symlink('abs', '/etc/passwd'), symlink('up', '../../../x'), symlink('dangling', 'a//b/')]),
  'through a link of the same layer': () =>
    stack([
      folder('usr/'),
      folder('usr/lib/'),
      symlink('lib', 'usr/lib'),
      file('lib/a'),
      folder('lib/sub/', { mode: 0o700 }),
    ]),
  'a link in place of a folder': () => stack([folder('d/'), file('d/x'), folder('e/')], [symlink('d', 'e')]),
  'a folder in place of a link': () =>
    stack([folder('e/'), file('e/x'), symlink('d', 'e')], [folder('d/'), file('d/y')]),
  'a file in place of a folder': () => stack([folder('d/'), folder('d/s/'), file('d/s/x')], [file('d', 'file')]),
  'a folder in place of a file': () => stack([file('d', 'file')], [folder('d/', { mode: 0o711 }), file('d/x')]),
  'through a link of a lower layer': () => ({
    ...stack([folder('usr/'), folder('usr/lib/'), symlink('lib', 'usr/lib')], [file('lib/new')]),
    differs: {
      './lib': 'docker, podman and containerd replace the link, and images are made with them',
      './lib/new': 'follows',
      './usr/lib/new': 'follows',
    },
  }),
  'folders without entries': () =>
    stack(
      [folder('priv/', { mode: 0o700, uid: 7, gid: 8, mtime: 1000, pax: xattr('user.kept', 'yes') }), file('priv/a')],
      [file('x')],
      [file('priv/b')],
    ),
  'entries twice': () =>
    stack([file('a', '1'), file('a', '2'), folder('d/', { mode: 0o700 }), file('d/x'), folder('d/', { mode: 0o711 })]),
  'the same layer again': () => {
    const again = buildLayer([file('f', 'first'), file('.wh.g', '')]);
    const empty = buildLayer([]);
    const other = buildLayer([file('f', 'second'), file('g')]);
    return { layers: [empty, again, other, empty, again, empty] };
  },
  'a plain layer': plainAndTwice,
  'gzip members and padding': membersAndPadding,
  'zstd, beside its gzip twin': () => {
    const twin = buildLayer([folder('d/'), file('d/f', 'zstd')]);
    return { layers: [zstd(twin)], twin: [twin] };
  },
  'times to the nanosecond': () =>
    stack([
      file('f', 'x', { pax: { mtime: '1234567890.123456789' } }),
      folder('d/', { pax: { mtime: '1.5' } }),
      { ...symlink('l', 'f'), pax: { mtime: '2.25' } },
      file('d/z', 'x', { mtime: 0 }),
    ]),
  'times out of range': () => ({
    ...stack([file('old', 'x', { pax: { mtime: '-5' } }), file('far', 'x', { pax: { mtime: '99999999999' } })]),
    differs: {
      './old': 'times that 64 bits of nanoseconds since 1970 can’t hold become 1970, as in containerd',
      './far': 'the same',
    },
  }),
};

/** A frame of zstd that stores its blocks as they are (RFC 8878, "Raw_Block"): Node 20 has no compressor. */
function zstd(layer: BuiltLayer): BuiltLayer {
  const parts: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58])]; // a window of 2 MiB, no content size
  for (let at = 0; at < layer.tar.length; at += 100_000) {
    const block = layer.tar.subarray(at, at + 100_000);
    const last = at + 100_000 >= layer.tar.length ? 1 : 0;
    const header = Buffer.alloc(3);
    header.writeUIntLE((block.length << 3) | last, 0, 3);
    parts.push(header, block);
  }
  const blob = Buffer.concat(parts);
  return { ...layer, blob, digest: digestOf(blob) };
}

type Kind = 'folder' | 'file' | 'link';

/** Layers that do everything to a few names, again and again, as no person would; the same for the same seed. */
export function randomRecipe(seed: number): Recipe {
  const random = seededRandom(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const tree = new Map<string, Kind>();
  const below = (path: string): string[] => [...tree.keys()].filter((each) => each.startsWith(`${path}/`));
  const drop = (path: string): void => [path, ...below(path)].forEach((each) => tree.delete(each));
  const layers = Array.from({ length: 2 + Math.floor(random() * 5) }, () => {
    const entries: TarEntry[] = [];
    // Names of this layer: entries that contradict each other in one layer have tests of their own.
    const used = new Set<string>();
    for (let count = 3 + Math.floor(random() * 12); count > 0; count--) {
      const parents = [
        '',
        ...[...tree].filter(([, kind]) => kind === 'folder').map(([path]) => `${path}/`),
        'new/',
        'new/er/',
      ];
      const parent = pick(parents);
      const path = parent + pick(['a', 'b', 'c', 'd']);
      const ancestors = path
        .split('/')
        .slice(0, -1)
        .map((_part, at, all) => all.slice(0, at + 1).join('/'));
      const clash =
        [...used].some((each) => each === path || each.startsWith(`${path}/`)) ||
        ancestors.some((each) => used.has(`-${each}`));
      if (clash || ancestors.some((each) => tree.has(each) && tree.get(each) !== 'folder')) continue;
      const attributes = {
        mode: pick([0o600, 0o755, 0o4711, 0o640]),
        uid: pick([0, 5]),
        gid: pick([0, 6]),
        mtime: 1_000_000 + count,
      };
      const action = random();
      if (action < 0.2 && tree.has(path)) {
        entries.push({ name: `${parent}.wh.${path.slice(parent.length)}`, content: '' });
        drop(path);
        used.add(`-${path}`);
      } else if (action < 0.25 && tree.get(path) === 'folder') {
        entries.push({ name: `${path}/.wh..wh..opq`, content: '' });
        below(path).forEach((each) => tree.delete(each));
        used.add(`-${path}`);
      } else if (action < 0.45) {
        entries.push({ name: `${path}/`, type: '5', ...attributes, mode: pick([0o700, 0o755, 0o1777]) });
        if (tree.get(path) !== 'folder') drop(path);
        tree.set(path, 'folder');
      } else if (action < 0.55) {
        entries.push({
          name: path,
          type: '2',
          link: pick(['a', '../b', '/c/d', 'nowhere']),
          uid: attributes.uid,
          mtime: attributes.mtime,
        });
        drop(path);
        tree.set(path, 'link');
      } else if (action < 0.65 && [...tree.values()].includes('file')) {
        const target = pick([...tree].filter(([, kind]) => kind === 'file').map(([name]) => name));
        if (target === path) continue;
        entries.push({ name: path, type: '1', link: target });
        used.add(target);
        drop(path);
        tree.set(path, 'file');
      } else {
        entries.push({ name: path, content: randomBytes(random, Math.floor(random() * 2000)), ...attributes });
        drop(path);
        tree.set(path, 'file');
      }
      used.add(path);
      ancestors.forEach((each) => tree.set(each, 'folder'));
    }
    return buildLayer(entries);
  });
  return { layers };
}
