import type { Container } from '../../lib';
import { TestBed } from '../support/busybox';
import { until } from '../support/until';

let bed: TestBed;
let container: Container;
beforeAll(async () => {
  bed = await TestBed.make();
  container = await bed.runtime.run(bed.busybox, {
    network: 'none',
    command: ['sleep', '1000'],
    env: { OF_THE_CONTAINER: '1' },
    capDrop: ['MKNOD'],
  });
});
afterAll(async () => {
  await bed.remove();
});

test('collects both streams, exactly', async () => {
  const result = await container.exec(['sh', '-c', 'printf "a\\377b"; echo err >&2; exit 4'], { encoding: 'buffer' });
  expect(result).toMatchObject({ exitCode: 4, signal: null, oomKilled: false, truncated: false });
  expect([...result.stdout]).toEqual([0x61, 0xff, 0x62]);
  expect(result.stderr.toString()).toBe('err\n');
  expect(result.durationMs).toBeGreaterThan(0);
});

test('gives input, environment, user and folder, and the container’s own of all else', async () => {
  const { stdout } = await container.exec(
    ['sh', '-c', 'cat; id -u; pwd; echo $OF_THE_CONTAINER $MINE $HOME; grep CapBnd /proc/self/status'],
    { input: 'typed\n', user: 'app', workdir: '/tmp', env: { MINE: '2' } },
  );
  expect(stdout).toMatch(/^typed\n1000\n\/tmp\n1 2 \/home\/app\nCapBnd:\s+00000000a00425fb\n$/);
});

test('stdio are pipes that can be opened again by name', async () => {
  expect(await container.exec(['sh', '-c', 'echo x >/dev/stdout; echo y >/dev/stderr'])).toMatchObject({
    stdout: 'x\n',
    stderr: 'y\n',
  });
});

test('keeps no more than it may and drains the rest', async () => {
  const result = await container.exec(['sh', '-c', 'head -c 3000000 /dev/zero | tr "\\0" x; echo end >&2'], {
    maxOutputBytes: 1000,
  });
  expect(result).toMatchObject({ exitCode: 0, stdout: 'x'.repeat(1000), stderr: 'end\n', truncated: true });
});

test('a time-out or an abort kills the process and its children, and tells what was written', async () => {
  const script = 'echo so far; (sleep 777 & sleep 777)';
  await expect(container.exec(['sh', '-c', script], { timeoutMs: 200 })).rejects.toMatchObject({
    code: 'ERR_TIMEOUT',
    stdout: 'so far\n',
    stderr: '',
  });
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 200);
  await expect(container.exec(['sh', '-c', script], { signal: controller.signal })).rejects.toMatchObject({
    code: 'ABORT_ERR',
    stdout: 'so far\n',
  });
  const { stdout } = await container.exec(['sh', '-c', 'ps | grep -c "[s]leep 777"']);
  expect(stdout).toBe('0\n');
});

test('what cannot start rejects; a bad exit does only when asked to', async () => {
  await expect(container.exec(['nothing-here'])).rejects.toMatchObject({
    code: 'ERR_COMMAND_NOT_FOUND',
    exitCode: 127,
  });
  await expect(container.exec(['/etc/passwd'])).rejects.toMatchObject({
    code: 'ERR_COMMAND_NOT_EXECUTABLE',
    exitCode: 126,
  });
  await expect(container.exec(['sh', '-c', 'echo why >&2; exit 3'], { check: true })).rejects.toMatchObject({
    code: 'ERR_EXIT_CODE',
    exitCode: 3,
    result: { exitCode: 3, stderr: 'why\n' },
  });
  expect(await container.exec(['sh', '-c', 'kill -9 $$'])).toMatchObject({ exitCode: 137, signal: 'SIGKILL' });
});

test('returns when the process has ended, though a child keeps its pipes', async () => {
  const startedMs = performance.now();
  expect((await container.exec(['sh', '-c', 'sleep 5 & echo started'])).stdout).toBe('started\n');
  expect(performance.now() - startedMs).toBeLessThan(3000);
});

test('spawn gives live streams', async () => {
  const child = await container.spawn(['sh', '-c', 'while read line; do echo got $line; done; exit 6']);
  const received: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => received.push(chunk.toString()));
  child.stdin.write('one\n');
  while (!received.join('').includes('got one')) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.stdin.end('two\n');
  expect(await child.wait()).toMatchObject({ exitCode: 6 });
  await child.kill();
  const asleep = await container.spawn(['sleep', '100']);
  await asleep.kill('SIGINT');
  expect(await asleep.wait()).toMatchObject({ exitCode: 130, signal: 'SIGINT' });
});

test('a terminal has the size it was given, and can change it', async () => {
  const shell = await container.spawn(['sh'], { tty: { columns: 91, rows: 17 } });
  let text = '';
  shell.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  shell.stdin.write('stty size\n');
  await until('the first size', () => text.includes('17 91'), 10_000);
  await shell.resize({ columns: 33, rows: 44 });
  shell.stdin.write('stty size; exit 2\n');
  await until('the second size', () => text.includes('44 33'), 10_000);
  expect((await shell.wait()).exitCode).toBe(2);
});

test('a container of its own: input, output, and nothing left', async () => {
  const before = (await bed.runtime.containers({ all: true })).length;
  const result = await bed.runtime.exec(bed.busybox, ['sh', '-c', 'cat; exit 7'], { network: 'none', input: 'in\n' });
  expect(result).toMatchObject({ exitCode: 7, stdout: 'in\n', stderr: '' });
  await expect(
    bed.runtime.exec(bed.busybox, ['sh', '-c', 'echo so far; sleep 60'], { network: 'none', timeoutMs: 500 }),
  ).rejects.toMatchObject({ code: 'ERR_TIMEOUT', stdout: 'so far\n' });
  const child = await bed.runtime.spawn(bed.busybox, ['sh', '-c', 'read a; echo got $a; exit 8'], { network: 'none' });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stdin.write('x\n');
  expect((await child.wait()).exitCode).toBe(8);
  await until('the answer', () => text === 'got x\n', 10_000);
  child.stderr.destroy();
  expect(await bed.runtime.containers({ all: true })).toHaveLength(before);
});
