import { readFileSync } from 'node:fs';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import type { Attachment, Container } from '../../lib';
import { TestBed } from '../support/busybox';
import { until } from '../support/until';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const quiet = { network: 'none' } as const;
const shell = (script: string, more: object = {}): Promise<Container> =>
  bed.runtime.run(bed.busybox, { ...quiet, command: ['sh', '-c', script], ...more });

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

async function supervisorOf(container: Container): Promise<string> {
  const { pid } = await container.inspect();
  return /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;
}

/** Kilobytes that it has at most had. */
function peakOf(pid: string): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

test('stdin has back-pressure, and its end is the end for the program', async () => {
  const container = await shell('sleep 0.5; wc -c', { openStdin: true });
  const attachment = await container.attach();
  let written = 0;
  while (attachment.stdin.write(Buffer.alloc(65536))) written += 65536;
  expect(written).toBeLessThan(8 << 20);
  await once(attachment.stdin, 'drain');
  attachment.stdin.end(Buffer.alloc(10_000_000));
  expect(Number(await textOf(attachment.stdout))).toBe(10_000_000 + written + 65536);
  attachment.stderr.destroy();
  await container.close();
});

test('a program that reads nothing does not hold up its resizing, its killing, or the supervisor', async () => {
  const container = await shell('sleep 1000', { openStdin: true, tty: true });
  const supervisor = await supervisorOf(container);
  const peak = peakOf(supervisor);
  const child = await container.spawn(['sleep', '1000'], { tty: true });
  child.stdin.write(Buffer.alloc(8 << 20, 'x'));
  await child.resize({ columns: 10, rows: 10 });
  await child.kill('SIGKILL');
  expect(await child.wait()).toMatchObject({ signal: 'SIGKILL' });
  child.stdin.destroy();
  const attachment = await container.attach();
  attachment.stdin.write(Buffer.alloc(8 << 20, 'x'));
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(peakOf(supervisor) - peak).toBeLessThan(8 * 1024);
  await attachment.kill('SIGKILL');
  expect(await container.wait()).toMatchObject({ signal: 'SIGKILL' });
  await attachment.detach();
  await container.close();
});

test('a terminal is resized before the start, 10,000 times while it runs, and after its end', async () => {
  const command = ['sh', '-c', 'stty size; read a; stty size'];
  const container = await bed.runtime.create(bed.busybox, { ...quiet, command, tty: true, openStdin: true });
  const attachment = await container.attach();
  await attachment.resize({ columns: 91, rows: 17 });
  await container.start();
  let text = '';
  attachment.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await until('the first size', () => text.startsWith('17 91'));
  const startedMs = performance.now();
  await Promise.all(
    Array.from({ length: 10_000 }, (_, index) => attachment.resize({ columns: 1 + (index % 200), rows: 50 })),
  );
  process.stdout.write(`10,000 resizes in ${Math.round(performance.now() - startedMs)} ms\n`);
  for (const columns of [-1, 65536, NaN, 1.5, '80' as unknown as number]) {
    await expect(attachment.resize({ columns, rows: 1 })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  }
  await attachment.resize({ columns: 44, rows: 33 });
  attachment.stdin.write('\n');
  await container.wait();
  await attachment.resize({ columns: 1, rows: 1 });
  await until('the last size', () => text.endsWith('33 44\r\n'));
  await container.close();
  await attachment.resize({ columns: 2, rows: 2 });
  const plain = await shell('sleep 1000');
  const none = await plain.attach();
  await expect(none.resize({ columns: 1, rows: 1 })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await none.detach();
  await plain.close();
});

test('what is spawned can be left alone: it goes on, also one with a terminal', async () => {
  const container = await shell('sleep 1000');
  const child = await container.spawn(['sh', '-c', 'echo begun; sleep 0.3; echo late; echo done > /done; sleep 500'], {
    tty: true,
  });
  await until('it runs', () => child.stdout.read() !== null);
  await child.detach();
  expect(await child.wait()).toMatchObject({ exitCode: null });
  await until('it goes on', async () => (await container.exec(['cat', '/done'])).stdout === 'done\n');
  expect((await container.exec(['ps'])).stdout).toContain('sleep 500');
  await container.close();
});

test.each(['timeout', 'abort'])('exec that ends by %s takes the children of its process along', async (how) => {
  const container = await shell('sleep 1000');
  const script = 'for i in 1 2 3; do (setsid sleep 7654 & sleep 7654) & done; wait';
  const controller = new AbortController();
  const options = how === 'timeout' ? { timeoutMs: 300 } : { signal: controller.signal };
  if (how === 'abort') setTimeout(() => controller.abort(), 300);
  await expect(container.exec(['sh', '-c', script], options)).rejects.toMatchObject({
    code: how === 'timeout' ? 'ERR_TIMEOUT' : 'ABORT_ERR',
  });
  expect((await container.exec(['ps'])).stdout).not.toContain('7654');
  await container.close();
});

test('the status is known at once though a child holds the output open, and all of that is there', async () => {
  const startedMs = performance.now();
  const container = await shell('seq 1 100000; sleep 100 & exit 3');
  expect(await container.wait()).toMatchObject({ exitCode: 3 });
  expect(performance.now() - startedMs).toBeLessThan(3000);
  let last = '';
  let count = 0;
  for await (const { line } of container.logs()) {
    last = line;
    count++;
  }
  expect([count, last]).toEqual([100_000, '100000']);
  await container.close();
});

test('attached readers that never read, 1 or 100 of them, cost the container nothing, and miss nothing', async () => {
  const blocks = 6000;
  const script = `read go; dd if=/dev/zero bs=65536 count=${blocks} 2>/dev/null; echo end`;
  const elapsed = async (readers: number): Promise<number> => {
    const container = await shell(script, { openStdin: true });
    const supervisor = await supervisorOf(container);
    const attached: Attachment[] = [];
    for (let count = 0; count < readers; count++) attached.push(await container.attach({ stdin: false }));
    const input = await container.attach({ stdin: true });
    const startedMs = performance.now();
    input.stdin.end('go\n');
    await container.wait();
    const tookMs = performance.now() - startedMs;
    expect(peakOf(supervisor)).toBeLessThan(32 * 1024);
    if (attached[0]) {
      let bytes = 0;
      for await (const chunk of attached[0].stdout) bytes += (chunk as Buffer).length;
      expect(bytes).toBe(blocks * 65536 + 4);
    }
    for (const attachment of [...attached, input]) await attachment.detach();
    await container.close();
    return tookMs;
  };
  await elapsed(0);
  // In turns, so that what else this machine does falls on each alike; the fastest of each was disturbed the least.
  const fastest = new Map<number, number>();
  for (let round = 0; round < 5; round++) {
    for (const readers of [0, 1, 100]) {
      fastest.set(readers, Math.min(fastest.get(readers) ?? Infinity, await elapsed(readers)));
    }
  }
  const [alone, one, hundred] = [0, 1, 100].map((readers) => Math.round(fastest.get(readers)!));
  process.stdout.write(`400 MB: ${alone} ms alone, ${one} ms with a reader that never reads, ${hundred} ms with 100\n`);
  expect(alone! / one!).toBeGreaterThan(0.9);
  // A hundred connections are woken, which has its price where the processors are two.
  expect(alone! / hundred!).toBeGreaterThan(0.7);
}, 60_000);

test('a client that is stopped slows nobody', async () => {
  const container = await shell('read go; seq 1 300000; echo end', { openStdin: true });
  const { id } = container;
  const program = `const { Runtime } = require('dinghy');
    const runtime = new Runtime({ root: ${JSON.stringify(bed.root)}, state: ${JSON.stringify(bed.state)} });
    runtime.container('${id}').then((c) => c.attach({ stdin: false })).then((a) => { console.log('attached'); a.stdout.pipe(process.stdout); });`;
  const client = spawn(process.execPath, ['-e', program], {
    cwd: join(__dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(client.stdout, 'data');
    client.kill('SIGSTOP');
    const input = await container.attach({ stdin: true });
    input.stdin.end('go\n');
    expect(await container.wait()).toMatchObject({ exitCode: 0 });
    client.kill('SIGCONT');
    const text = await textOf(client.stdout);
    expect(text).toMatch(/\n300000\nend\n$/);
    await input.detach();
  } finally {
    client.kill('SIGKILL');
  }
  await container.close();
});

describe('what a process inherits from whoever runs this', () => {
  /** A program in a process with few rights to descriptors, and with signals ignored and blocked. */
  function inOddProcess(body: string, { files = 1024 } = {}): string {
    const program = `const { Runtime } = require('dinghy');
      const runtime = new Runtime({ root: ${JSON.stringify(bed.root)}, state: ${JSON.stringify(bed.state)} });
      (async () => { try { ${body} } finally { await runtime.close(); } })().catch((e) => console.log('FAILED', e.code, e.message));`;
    const python = `import os, resource, signal, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (${files}, ${files}))
signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGPIPE, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, set(range(1, 65)) - {9, 19, 32, 33})
os.execv(sys.argv[1], sys.argv[1:])`;
    const argv = ['-c', python, process.execPath, '-e', program];
    const { stdout, stderr } = spawnSync('python3', argv, {
      cwd: join(__dirname, '../..'),
      encoding: 'utf8',
      timeout: 50_000,
      killSignal: 'SIGKILL',
    });
    return stdout + stderr;
  }

  test('signals are neither ignored nor blocked in the container, and its limit of files is its own', () => {
    const script = 'grep -E "^Sig(Ign|Blk|Cgt)" /proc/self/status; ulimit -Sn';
    const body = `const options = { network: 'none' };
      const { stdout } = await runtime.exec('${bed.busybox}', ['sh', '-c', ${JSON.stringify(script)}], options);
      const container = await runtime.run('${bed.busybox}', { ...options, command: ['sleep', '100'] });
      console.log(stdout + (await container.exec(['sh', '-c', ${JSON.stringify(script)}])).stdout);`;
    const one = 'SigBlk:\\s+0{16}\\nSigIgn:\\s+0{16}\\nSigCgt:\\s+\\S+\\n1024\\n';
    expect(inOddProcess(body, { files: 5000 })).toMatch(new RegExp(`^${one}${one}\\n$`));
  });

  test.each([64, 80])('too few descriptors (%d) for 40 containers: EMFILE says so, and no half of one', (files) => {
    const body = `const made = await Promise.allSettled(Array.from({ length: 40 }, () =>
        runtime.run('${bed.busybox}', { network: 'none', command: ['sleep', '1000'] })));
      const codes = made.filter((one) => one.status === 'rejected').map(({ reason }) => [reason.code, reason.cause?.code ?? '', reason.message].join(' '));
      const running = made.filter((one) => one.status === 'fulfilled').length;
      console.log(JSON.stringify({ codes, running }));`;
    const told = inOddProcess(body, { files });
    const { codes, running } = JSON.parse(/^\{.*\}$/m.exec(told)?.[0] ?? `{"codes":[${JSON.stringify(told)}]}`) as {
      codes: string[];
      running: number;
    };
    expect(codes.length + running).toBe(40);
    expect(codes.length).toBeGreaterThan(0);
    expect(codes.filter((code) => !code.includes('EMFILE'))).toEqual([]);
  });
});
