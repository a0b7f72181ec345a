import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { removeFolder, temporaryFolder } from '../support/temporary-folder';
import { busyboxRoot, contentOf, NativeContainer, recordHeader } from './harness';
import { until } from '../support/until';

let shared: string;
let lower: string;

beforeAll(() => {
  shared = temporaryFolder('native-root');
  lower = busyboxRoot(shared);
});
afterAll(() => removeFolder(shared));

function peakMemoryKib(pid: number): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

describe('the log', () => {
  test('takes 100 MB without a newline, in pieces of at most 16 KiB, and little memory', async () => {
    const container = await NativeContainer.open(lower, {
      args: ['sh', '-c', 'head -c 100000000 /dev/zero | tr "\\0" x; echo; echo last'],
    });
    const startedMs = performance.now();
    expect(await container.request('start')).toMatchObject({ ok: true });
    await container.reached('stopped', 50_000);
    const seconds = (performance.now() - startedMs) / 1000;
    expect(peakMemoryKib(container.pid)).toBeLessThan(32 * 1024);
    const log = readFileSync(container.logPath);
    expect(Math.max(...recordLengths(log))).toBe(16384);
    const content = contentOf(log, 'stdout');
    expect(content.length).toBe(100_000_000 + '\nlast\n'.length);
    expect(content.subarray(-8).toString()).toBe('xx\nlast\n');
    await container.remove();
    process.stdout.write(`100 MB logged in ${seconds.toFixed(2)} s\n`);
  });

  test('gives back exactly the bytes, whatever they are', async () => {
    const container = await NativeContainer.open(lower, {
      args: ['sh', '-c', 'head -c 3000000 /bin/busybox; head -c 400000 /bin/busybox >&2'],
    });
    await container.request('start');
    await container.reached('stopped');
    const program = readFileSync('/bin/busybox');
    expect(sha(container.output('stdout'))).toBe(sha(program.subarray(0, 3_000_000)));
    expect(sha(container.output('stderr'))).toBe(sha(program.subarray(0, 400_000)));
    await container.remove();
  });

  test('keeps short lines whole and both streams apart', async () => {
    const container = await NativeContainer.open(lower, { args: ['sh', '-c', 'seq 1 20000; seq 1 9 >&2'] });
    await container.request('start');
    await container.reached('stopped');
    const numbers = container.output().toString().trimEnd().split('\n').map(Number);
    expect(numbers).toEqual(Array.from({ length: 20_000 }, (_, index) => index + 1));
    expect(container.output('stderr').toString()).toBe('1\n2\n3\n4\n5\n6\n7\n8\n9\n');
    await container.remove();
  });

  test('is rotated by size, and keeps as many files as asked', async () => {
    const log = { maxSize: 100_000, maxFiles: 3 };
    const container = await NativeContainer.open(lower, { args: ['sh', '-c', 'seq 1 20000; echo end'], log });
    await container.request('start');
    await container.reached('stopped');
    const files = ['', '.1', '.2'].map((suffix) => container.logPath + suffix);
    files.forEach((file) => expect(statSync(file).size).toBeLessThanOrEqual(100_000));
    expect(existsSync(`${container.logPath}.3`)).toBe(false);
    const all = contentOf(Buffer.concat(files.reverse().map((file) => readFileSync(file))), 'stdout').toString();
    expect(all).toMatch(/\n19999\n20000\nend\n$/);
    await container.remove();
  });

  test.each([
    ['in 64 KiB writes', 'dd if=/dev/zero bs=65536 count=512 2>/dev/null', 512 * 65536],
    ['in 1-byte writes', 'dd if=/dev/zero bs=1 count=300000 2>/dev/null', 300_000],
  ])('has every byte that was written %s, and little memory', async (_how, command, bytes) => {
    const container = await NativeContainer.open(lower, { args: ['sh', '-c', command] });
    await container.request('start');
    await container.reached('stopped', 50_000);
    expect(peakMemoryKib(container.pid)).toBeLessThan(32 * 1024);
    const content = container.output();
    expect(content.equals(Buffer.alloc(bytes))).toBe(true);
    await container.remove();
  });

  test('never has a file over the size, whatever is written at once, and numbers them', async () => {
    const log = { maxSize: 40_000, maxFiles: 2 };
    const command = 'dd if=/dev/zero bs=65536 count=20 2>/dev/null';
    const container = await NativeContainer.open(lower, { args: ['sh', '-c', command], log });
    await container.request('start');
    await container.reached('stopped');
    const [older, newer] = ['.1', ''].map((suffix) => readFileSync(container.logPath + suffix)) as [Buffer, Buffer];
    expect(older.length).toBeLessThanOrEqual(40_000);
    expect(newer.length).toBeLessThanOrEqual(40_000);
    const [before, last] = [older, newer].map((file) => Number(/:file=(\d+) /.exec(file.toString('latin1'))?.[1]));
    expect(last).toBe(before! + 1);
    await container.remove();
  });

  test('tells the runs of a container apart', async () => {
    const container = await NativeContainer.open(lower, { args: ['sh', '-c', 'printf no-newline'] });
    for (const _run of [1, 2]) {
      await container.request('start');
      await container.reached('stopped');
      container.events.length = 0;
    }
    const headers = readFileSync(container.logPath, 'latin1').trimEnd().split('\n');
    expect(headers.map((record) => recordHeader.exec(record)?.[3])).toEqual(['', ':run=2']);
    await container.remove();
  });

  test('drops whole records on a full disk, counts them, and goes on when there is room', async () => {
    let mounted = '';
    const container = await NativeContainer.open(lower, {
      args: ['sh', '-c', 'seq 1 100000; echo; read go; echo after'],
      stdin: true,
      prepare: (folder) => {
        mounted = join(folder, 'log');
        expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'log', mounted]).status).toBe(0);
        writeFileSync(join(mounted, 'ballast'), Buffer.alloc(65536));
      },
    });
    try {
      await container.request('attach', { stdin: true });
      await container.request('start');
      const told = () => container.events.findLast(({ event }) => event === 'state');
      await until('the loss is told', () => Number(told()?.['logLost'] ?? 0) > 100_000, 10_000);
      rmSync(join(mounted, 'ballast'));
      await container.control.writeStdin(Buffer.from('go\n'));
      const { logLost } = (await container.reached('stopped')) as unknown as { logLost: number };
      const written = 588_895 + '\nafter\n'.length;
      expect(container.output().length + logLost).toBe(written);
      const log = readFileSync(container.logPath, 'latin1');
      const marked = [...log.matchAll(/:lost=(\d+)/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
      expect(marked).toBe(logLost);
      expect(log).toMatch(/ after\n$/);
    } finally {
      spawnSync('umount', ['-l', mounted]);
      await container.remove();
    }
  });

  test('is announced, and a client that does not read gets one event, not thousands', async () => {
    const container = await NativeContainer.open(lower, { args: ['sh', '-c', 'yes | head -n 300000; sleep 100'] });
    await container.request('subscribe', { log: true });
    await container.request('start');
    const grown = () => container.events.filter(({ event }) => event === 'log');
    const total = 300_000 * 42;
    await until('the last event told the final size', () => grown().at(-1)?.['size'] === total, 20_000);
    expect(grown().length).toBeLessThan(3000);
    expect(statSync(container.logPath).size).toBe(total);
    await container.remove();
  });
});

function recordLengths(log: Buffer): number[] {
  const lengths: number[] = [];
  for (let start = 0; start < log.length;) {
    const end = log.indexOf(10, start);
    lengths.push(end - start - recordHeader.exec(log.toString('latin1', start, start + 128))![0].length);
    start = end + 1;
  }
  return lengths;
}

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
