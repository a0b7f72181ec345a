import { spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';

/**
 * Every thing below a folder by its path, in a line that says all of it: type, mode, owner, time, size, digest of the content or
 * target, attributes; further names of a file say which name came first. GNU tar reads the tree (nothing of Node's does attributes).
 * `prepare` is shell that runs before, in a mount namespace of its own, and may change the folder.
 */
export async function listTree(folder: string, prepare = ':'): Promise<Map<string, string>> {
  const tar = 'exec tar --format=pax --sort=name --numeric-owner --xattrs "--xattrs-include=*" -cf - .';
  const script = `set -e; cd "$1"; ${prepare}; ${tar}`;
  const child = spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', folder], { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const reader = new ArchiveLister();
  for await (const chunk of child.stdout) {
    reader.push(chunk as Buffer);
  }
  const status = await ended;
  if (status !== 0) {
    throw new Error(`cannot list ${folder} (exit ${status}):\n${complaints}`);
  }
  return reader.lines;
}

interface Member {
  left: number;
  padding: number;
  hash?: Hash;
  records?: Buffer[];
  finish: () => void;
}

/** Reads what GNU tar writes in its pax format, and no other archive. */
class ArchiveLister {
  readonly lines = new Map<string, string>();
  #pending: Buffer = Buffer.alloc(0);
  #pax = new Map<string, string>();
  /** What the bytes that follow belong to. */
  #member: Member | undefined;

  push(chunk: Buffer): void {
    this.#pending = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    for (;;) {
      if (this.#member ? !this.#takeData(this.#member) : !this.#takeHeader()) return;
    }
  }

  #takeData(member: Member): boolean {
    const piece = this.#pending.subarray(0, member.left);
    member.hash?.update(piece);
    member.records?.push(Buffer.from(piece));
    member.left -= piece.length;
    this.#pending = this.#pending.subarray(piece.length);
    if (member.left > 0 || this.#pending.length < member.padding) return false;
    this.#pending = this.#pending.subarray(member.padding);
    this.#member = undefined;
    member.finish();
    return true;
  }

  #takeHeader(): boolean {
    if (this.#pending.length < 512) return false;
    const block = this.#pending.subarray(0, 512);
    this.#pending = this.#pending.subarray(512);
    if (block[0] === 0) return true;
    const text = (at: number, length: number): string => block.toString('latin1', at, at + length).split('\0')[0]!;
    const number = (at: number, length: number): number => parseInt(text(at, length).trim() || '0', 8);
    const type = text(156, 1);
    const size = Number(this.#pax.get('size') ?? number(124, 12));
    const padding = (512 - (size % 512)) % 512;
    if (type === 'x') {
      const records: Buffer[] = [];
      this.#member = { left: size, padding, records, finish: () => (this.#pax = parseRecords(Buffer.concat(records))) };
      return true;
    }
    const pax = this.#pax;
    this.#pax = new Map();
    const prefix = text(345, 155);
    const name = pax.get('path') ?? (prefix ? `${prefix}/${text(0, 100)}` : text(0, 100));
    const hash = createHash('sha256');
    const attributes = [...pax].filter(([key]) => key.startsWith('SCHILY.')).map(([key, value]) => ` ${key}=${value}`);
    const about = {
      type,
      mode: number(100, 8).toString(8),
      owner: `${pax.get('uid') ?? number(108, 8)}:${pax.get('gid') ?? number(116, 8)}`,
      time: pax.get('mtime') ?? String(number(136, 12)),
      link: pax.get('linkpath') ?? text(157, 100),
      device: type === '3' || type === '4' ? `${number(329, 8)}:${number(337, 8)}` : '',
    };
    const finish = (): void => {
      const { mode, owner, time, link, device } = about;
      const content = type === '0' ? `${size} ${hash.digest('hex').slice(0, 16)}` : `${device}${link}`;
      const line =
        type === '1' ? `= ${link}` : `${type} ${mode} ${owner} ${time} ${content}${attributes.sort().join('')}`;
      this.lines.set(name.replace(/\/$/, ''), line);
    };
    this.#member = { left: size, padding, hash, finish };
    return true;
  }
}

function parseRecords(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.toString('latin1', at, bytes.indexOf(0x20, at)));
    const record = bytes.toString('latin1', bytes.indexOf(0x20, at) + 1, at + length - 1);
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}
