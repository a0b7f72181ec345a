/** One entry of a layer, as little of it as a test cares about. */
export interface TarEntry {
  name: string;
  /** ustar's type flag: `0` file, `5` folder, `2` symbolic link, `1` hard link. */
  type?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  link?: string;
  content?: string | Buffer;
}

/** A ustar archive made byte by byte, so that a test can also make what no tool would write. Names are at most 100 bytes. */
export function buildTar(entries: readonly TarEntry[]): Buffer {
  const blocks: Buffer[] = [];
  for (const entry of entries) {
    const content = Buffer.from(entry.content ?? '');
    blocks.push(header(entry, content.length), content, Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
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
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return block;
}
