/** One entry of a layer, as little of it as a test cares about. */
export interface TarEntry {
  name: string;
  /** ustar's type flag: `0` file, `5` folder, `2` symbolic link, `1` hard link, `3` and `4` devices, `6` fifo. */
  type?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  link?: string;
  content?: string | Buffer;
  /** Numbers of a device. */
  major?: number;
  minor?: number;
  /** Records of an extended header before the entry: `path`, `mtime`, `SCHILY.xattr.user.name`. */
  pax?: Record<string, string | Buffer>;
}

/** A ustar archive made byte by byte, so that a test can also make what no tool would write. Names are at most 100 bytes. */
export function buildTar(entries: readonly TarEntry[]): Buffer {
  const blocks: Buffer[] = [];
  for (const entry of entries) {
    if (entry.pax) {
      const records = Buffer.concat(Object.entries(entry.pax).map(([key, value]) => paxRecord(key, value)));
      blocks.push(...member({ name: 'pax', type: 'x' }, records));
    }
    blocks.push(...member(entry, Buffer.from(entry.content ?? '')));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function member(entry: TarEntry, content: Buffer): Buffer[] {
  return [header(entry, content.length), content, Buffer.alloc((512 - (content.length % 512)) % 512)];
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length;
  }
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function header(entry: TarEntry, size: number): Buffer {
  const type = entry.type ?? '0';
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number): void => {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  };
  block.write(entry.name, 0, 100, 'utf8');
  octal(entry.mode ?? (type === '5' ? 0o755 : 0o644), 100, 8);
  octal(entry.uid ?? 0, 108, 8);
  octal(entry.gid ?? 0, 116, 8);
  octal(size, 124, 12);
  octal(entry.mtime ?? 1_600_000_000, 136, 12);
  block.write('        ', 148, 'latin1');
  block.write(type, 156, 'latin1');
  block.write(entry.link ?? '', 157, 100, 'utf8');
  block.write('ustar\x0000', 257, 'latin1');
  octal(entry.major ?? 0, 329, 8);
  octal(entry.minor ?? 0, 337, 8);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return block;
}
