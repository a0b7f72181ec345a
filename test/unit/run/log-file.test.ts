import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { LogReader } from '../../../lib/run/log-file';
import { LineMaker } from '../../../lib/run/log-lines';
import type { LogRecord } from '../../../lib/run/log-parser';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

let folder: string;
let path: string;
const readers: LogReader[] = [];
beforeEach(() => {
  folder = temporaryFolder('log');
  path = join(folder, 'container.log');
});
afterEach(async () => {
  await Promise.all(readers.splice(0).map((reader) => reader.close()));
  removeFolder(folder);
});

function newReader(): LogReader {
  const reader = new LogReader(path);
  readers.push(reader);
  return reader;
}

const record = (content: string, tags = 'F', stream = 'stdout'): string =>
  `2026-11-24T10:00:00.123456789Z ${stream} ${tags} ${content}\n`;

async function contents(records: AsyncIterable<LogRecord[]>): Promise<string[]> {
  const found: string[] = [];
  for await (const batch of records) found.push(...batch.map(({ content }) => content.toString()));
  return found;
}

function rotate(files: number): void {
  for (let number = files - 1; number >= 2; number--) {
    try {
      renameSync(`${path}.${number - 1}`, `${path}.${number}`);
    } catch {
      // not so many yet
    }
  }
  renameSync(path, `${path}.1`);
}

describe('a reader', () => {
  test('begins with the oldest file, and goes on across rotations', async () => {
    writeFileSync(`${path}.2`, record('a'));
    writeFileSync(`${path}.1`, record('b', 'F:file=1'));
    writeFileSync(path, record('c', 'F:file=2'));
    const reader = newReader();
    expect(await contents(reader.read())).toEqual(['a', 'b', 'c']);
    appendFileSync(path, record('d'));
    rotate(4);
    writeFileSync(path, record('e', 'F:file=3'));
    rotate(4);
    writeFileSync(path, record('f', 'F:file=4'));
    expect(await contents(reader.read())).toEqual(['d', 'e', 'f']);
    expect(await contents(reader.read())).toEqual([]);
  });

  test('tells that files were removed before it came to them, also where one is kept', async () => {
    writeFileSync(path, record('a'));
    const [kept, one] = [newReader(), newReader()];
    await kept.skipToEnd();
    await one.skipToEnd();
    writeFileSync(`${path}.new`, record('c', 'F:file=2'));
    renameSync(`${path}.new`, path);
    await expect(contents(kept.read())).rejects.toMatchObject({ code: 'ERR_OUTPUT_LOST' });
    writeFileSync(`${path}.1`, record('b', 'F:file=1'));
    expect(await contents(one.read())).toEqual(['b', 'c']);
  });

  test('reads a log that grows faster than it reads to the end that was there', async () => {
    writeFileSync(path, record('a').repeat(10_000));
    let count = 0;
    for await (const batch of newReader().read({ once: true })) {
      count += batch.length;
      appendFileSync(path, record('more').repeat(20_000));
    }
    expect(count).toBe(10_000);
  });

  test('goes on where a record was taken back for want of room', async () => {
    writeFileSync(path, record('a') + record('torn').slice(0, 43));
    const reader = newReader();
    expect(await contents(reader.read())).toEqual(['a']);
    truncateSync(path, record('a').length);
    expect(await contents(reader.read())).toEqual([]);
    appendFileSync(path, record('b', 'F:lost=5'));
    expect(await contents(reader.read())).toEqual(['b']);
  });

  test('is content with no log, and with one that appears', async () => {
    const reader = newReader();
    expect(await contents(reader.read())).toEqual([]);
    writeFileSync(path, record('a'));
    expect(await contents(reader.read())).toEqual(['a']);
    rmSync(path);
    expect(await contents(reader.read())).toEqual([]);
  });
});

describe('the tail', () => {
  async function tail(lines: number, streams: ('stdout' | 'stderr')[] = ['stdout', 'stderr']): Promise<string[]> {
    const reader = newReader();
    await reader.skipToTail(lines, new Set(streams));
    return contents(reader.read());
  }

  test('is the last lines, over chunks, files and streams', async () => {
    const lines = Array.from({ length: 5000 }, (_, index) => record(`line ${index} ${'x'.repeat(index % 97)}`));
    writeFileSync(`${path}.1`, lines.slice(0, 2000).join(''));
    writeFileSync(path, lines.slice(2000).join(''));
    for (const count of [1, 2, 100, 2999, 3000, 3001, 4999, 5000, 6000]) {
      const found = await tail(count);
      expect(found).toHaveLength(Math.min(count, 5000));
      expect(found.at(-1)).toMatch(/^line 4999 /);
    }
    appendFileSync(path, record('err', 'F', 'stderr'));
    expect(await tail(1, ['stdout'])).toEqual([expect.stringMatching(/^line 4999 /), 'err']);
    expect(await tail(0)).toEqual([]);
  });

  test('counts a line in pieces once, has all of it, and no piece of one that began before', async () => {
    writeFileSync(
      path,
      [
        record('old'),
        record('err begins', 'P', 'stderr'),
        record('1', 'P'),
        record('err ends', 'F:cont', 'stderr'),
        record('2', 'P:cont'),
        record('3', 'F:cont'),
      ].join(''),
    );
    expect(await tail(1)).toEqual(['1', '2', '3']);
    expect(await tail(2)).toEqual(['err begins', '1', 'err ends', '2', '3']);
  });

  test('does not count what is still being written, and passes over what is torn', async () => {
    writeFileSync(path, `${record('a')}${record('b')}torn\n${record('unfinished').slice(0, -1)}`);
    expect(await tail(1)).toEqual(['b']);
  });
});

describe('lines', () => {
  const line = (given: Partial<LogRecord>): LogRecord => ({
    stream: 'stdout',
    time: '2026-11-24T10:00:00.123456789Z',
    partial: false,
    continues: false,
    run: 1,
    lost: 0,
    content: Buffer.from('x'),
    ...given,
  });
  const piece = (text: string | Buffer, more: Partial<LogRecord> = {}): LogRecord =>
    line({ content: Buffer.from(text), ...more });

  test('are put together of their pieces, each stream for itself', () => {
    const maker = new LineMaker('utf8');
    const records = [
      piece('a', { partial: true }),
      piece('E', { stream: 'stderr' }),
      piece('b', { partial: true, continues: true, time: '2026-11-24T10:00:01.000000000Z' }),
      piece('c', { continues: true }),
    ];
    expect(maker.push(records)).toEqual([
      expect.objectContaining({ stream: 'stderr', line: 'E', partial: false }),
      expect.objectContaining({ line: 'abc', partial: false, timestamp: '2026-11-24T10:00:00.123456789Z', run: 1 }),
    ]);
    expect(maker.end()).toEqual([]);
  });

  test('over 16 KiB come in parts; one of exactly that does not', () => {
    const maker = new LineMaker('utf8');
    const full = 'x'.repeat(16384);
    expect(maker.push([piece(full)]).map(({ partial }) => partial)).toEqual([false]);
    const entries = maker.push([piece('y', { partial: true }), piece(full, { continues: true, partial: true })]);
    expect(entries.map(({ line: text, partial }) => [text.length, partial])).toEqual([[16384, true]]);
    expect(maker.push([piece('!', { continues: true })])[0]).toMatchObject({ line: 'x!', partial: false });
  });

  test('do not cut a character between two parts', () => {
    const maker = new LineMaker('utf8');
    const bytes = Buffer.from('x'.repeat(16383) + 'é' + 'z');
    const first = maker.push([
      piece(bytes.subarray(0, 16384), { partial: true }),
      piece(bytes.subarray(16384), { continues: true, partial: true }),
    ]);
    const text = [...first, ...maker.push([piece('', { continues: true })])].map((entry) => entry.line).join('');
    expect(text).toBe(bytes.toString());
  });

  test('do not go on over a restart or a loss', () => {
    const maker = new LineMaker('buffer');
    const entries = maker.push([piece('unfinished', { partial: true }), piece('next', { run: 2 })]);
    expect(entries.map((entry) => [String(entry.line), entry.partial, entry.run])).toEqual([
      ['unfinished', true, 1],
      ['next', false, 2],
    ]);
    expect(maker.push([piece('after', { lost: 7 })])[0]).toMatchObject({ lost: 7 });
    expect(maker.push([piece('whole')])[0]).not.toHaveProperty('lost');
  });

  test('that have no end yet are given when asked for, once', () => {
    const maker = new LineMaker('utf8');
    expect(maker.push([piece('Password: ', { partial: true })])).toEqual([]);
    expect(maker.hasUnfinished).toBe(true);
    expect(maker.take()[0]).toMatchObject({ line: 'Password: ', partial: true });
    expect([maker.hasUnfinished, maker.take(), maker.end()]).toEqual([false, [], []]);
  });
});
