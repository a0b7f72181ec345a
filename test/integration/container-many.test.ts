import { readdirSync, readFileSync } from 'node:fs';

import type { Container } from '../../lib';
import { TestBed } from '../support/busybox';
import { until } from '../support/until';

// Many containers, execs and lines of log: what is done again and again must not add up. `npm test` does some, `npm run soak -- many` all.
const crowd = Number(process.env['DINGHY_TEST_CROWD'] ?? 12);
const rounds = Number(process.env['DINGHY_TEST_CROWD_ROUNDS'] ?? 4);
const execs = Number(process.env['DINGHY_TEST_EXECS'] ?? 300);
const logMebibytes = Number(process.env['DINGHY_TEST_LOG_MIB'] ?? 16);
const timeoutMs = 60_000 + crowd * rounds * 1000 + execs * 100 + logMebibytes * 1000;

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

/** VmRSS of a process in KiB. */
const memoryOf = (pid: number): number =>
  Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
const peakOf = (pid: number): number =>
  Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
const countOf = (folder: string): number => readdirSync(folder).length;

/** The parent of a container's first process, which serves it. */
async function supervisorOf(container: Container): Promise<number> {
  const { pid } = await container.inspect();
  return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

test(
  `${crowd} containers at once are started, exec'd into and removed, ${rounds} times over`,
  async () => {
    const program = `
      process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc');
      const gc = process.getBuiltinModule('node:vm').runInNewContext('gc');
      const { readdirSync } = process.getBuiltinModule('node:fs');
      for (let round = 0; round < given.rounds; round++) {
        await Promise.all(Array.from({ length: given.crowd }, async () => {
          const container = await runtime.run(given.image, { network: 'none', command: ['sleep', '1000'] });
          const { stdout } = await container.exec(['echo', 'ahoy'], { check: true });
          if (stdout !== 'ahoy\\n') throw new Error('got ' + stdout);
          await container.remove({ force: true });
        }));
        // What was closed is given back by later turns of the loop.
        await new Promise((resolve) => setTimeout(resolve, 200));
        gc();
        say({
          descriptors: readdirSync('/proc/self/fd').length,
          threads: readdirSync('/proc/self/task').length,
          heapMiB: process.memoryUsage().heapUsed / 1048576,
          rssMiB: process.memoryUsage().rss / 1048576,
        });
      }`;
    const { code, output } = await bed.child(program, { image: bed.busybox, crowd, rounds }).ended;
    expect({ code, output }).toEqual({ code: 0, output: expect.any(String) });
    type Usage = { descriptors: number; threads: number; heapMiB: number; rssMiB: number };
    const usage = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Usage);
    expect(usage).toHaveLength(rounds);
    const [first, last] = [usage[0]!, usage.at(-1)!];
    console.log(`of ${rounds} rounds the first ${JSON.stringify(first)}, the last ${JSON.stringify(last)}`);
    expect(last.descriptors).toBeLessThanOrEqual(first.descriptors);
    expect(last.threads).toBeLessThanOrEqual(first.threads);
    expect(last.heapMiB - first.heapMiB).toBeLessThan(3);
    // Of the allocators' own moods, which a later round gives back or not.
    expect(last.rssMiB - first.rssMiB).toBeLessThan(30 + crowd / 4);
    expect(countOf(`${bed.root}/containers`)).toBe(0);
  },
  timeoutMs,
);

test(
  `${execs} execs in one container leave no zombie, and nothing grows`,
  async () => {
    const container = await bed.runtime.run(bed.busybox, {
      network: 'none',
      init: true,
      command: ['sleep', '1000'],
    });
    const supervisor = await supervisorOf(container);
    const some = async (count: number): Promise<void> => {
      const results = await Promise.all(
        Array.from({ length: count }, () => container.exec(['sh', '-c', 'true & exit 3'])),
      );
      for (const { exitCode } of results) if (exitCode !== 3) throw new Error(`exit code ${exitCode}`);
    };
    const usage = (): Record<string, number> => ({
      supervisorKiB: memoryOf(supervisor),
      supervisorFiles: countOf(`/proc/${supervisor}/fd`),
      files: countOf('/proc/self/fd'),
      threads: countOf('/proc/self/task'),
    });
    const batch = 10;
    for (let done = 0; done < 50; done += batch) await some(batch);
    const before = usage();
    for (let done = 0; done < execs; done += batch) await some(batch);
    const after = usage();
    console.log(JSON.stringify({ before, after }));
    expect(after['supervisorFiles']).toBeLessThanOrEqual(before['supervisorFiles']!);
    expect(after['files']).toBeLessThanOrEqual(before['files']!);
    expect(after['threads']).toBeLessThanOrEqual(before['threads']!);
    expect(after['supervisorKiB']! - before['supervisorKiB']!).toBeLessThan(1024);
    // `true &` was left behind by its shell, for the init to reap.
    await until('there is none but the init and its child', async () => (await container.top()).length === 2);
    await container.close();
  },
  timeoutMs,
);

describe(`${logMebibytes} MiB of log`, () => {
  const bytes = logMebibytes * 1048576;

  /** Checks everything that the container has written, as it is in its log. */
  async function written(script: string, check: (line: Buffer) => void): Promise<void> {
    const container = await bed.runtime.run(bed.busybox, {
      network: 'none',
      openStdin: true,
      command: ['sh', '-c', `read go; ${script}`],
      log: { maxSize: '4g' },
    });
    const supervisor = await supervisorOf(container);
    const input = await container.attach({ stdin: true });
    input.stdin.end('go\n');
    input.stdout.resume();
    input.stderr.resume();
    let peak = peakOf(supervisor);
    const watch = setInterval(() => (peak = Math.max(peak, peakOf(supervisor))), 20);
    expect(await container.wait().finally(() => clearInterval(watch))).toMatchObject({ exitCode: 0 });
    expect(peak).toBeLessThan(32 * 1024);
    for await (const { line } of container.logs({ encoding: 'buffer' })) check(line);
    await container.close();
  }

  test(
    'in writes of 64 KiB without a newline: every byte is back',
    async () => {
      let found = 0;
      const block = `tr '\\0' 'x' < /dev/zero | dd bs=65536 count=${bytes / 65536} iflag=fullblock 2>/dev/null`;
      await written(block, (chunk) => {
        if (!chunk.equals(Buffer.alloc(chunk.length, 'x'))) throw new Error(`not what was written, near ${found}`);
        found += chunk.length;
      });
      expect(found).toBe(bytes);
    },
    timeoutMs,
  );

  test(
    'in lines: every one is back, in order',
    async () => {
      const last = Math.floor(bytes / 32);
      let next = 1;
      await written(`seq 1 ${last}`, (line) => {
        if (line.toString('latin1') !== String(next++)) throw new Error(`${line.toString()} in place of ${next - 1}`);
      });
      expect(next).toBe(last + 1);
    },
    timeoutMs,
  );

  test(
    'a sixty-fourth of it in writes of one byte: every one is back',
    async () => {
      const count = bytes / 64;
      let found = 0;
      await written(`dd if=/dev/zero bs=1 count=${count} 2>/dev/null`, (chunk) => (found += chunk.length));
      expect(found).toBe(count);
    },
    timeoutMs,
  );
});
