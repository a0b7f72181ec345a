import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { Bench, eventually, repository } from '../support/e2e';
import { LeakCheck, describeLeaks } from '../support/leak-check';
import { seededRandom } from '../support/random-image';

const seed = Number(process.env['DINGHY_TEST_SEED'] ?? 20_260_301);
const samples = Number(process.env['DINGHY_TEST_KILLS'] ?? 12);
const example = join(repository, 'examples/build/nginx.js');

let bench: Bench;

beforeAll(async () => {
  bench = await Bench.open({ nginx: '1.18', busybox: '1' });
  for (const folder of [bench.root, bench.state]) mkdirSync(folder, { recursive: true, mode: 0o700 });
}, 600_000);

afterAll(async () => {
  await bench.close();
});

/** Runs the demo to its end and gives its duration and what it printed. */
async function demo(): Promise<{ durationMs: number; output: string; code: number | null }> {
  const started = Date.now();
  const child = bench.spawnNode([example, 'nginx:1.18']);
  let output = '';
  child.stdout?.on('data', (chunk) => (output += String(chunk)));
  child.stderr?.on('data', (chunk) => (output += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  return { durationMs: Date.now() - started, output, code };
}

test(
  `the demo killed at ${samples} random moments (seed ${seed}) leaves nothing 2 s later, and works afterwards`,
  async () => {
    const random = seededRandom(seed);
    // How long the whole of it takes here, pull included, bounds the moments.
    const whole = await demo();
    expect(whole).toMatchObject({ code: 0, output: expect.stringContaining('Welcome to nginx!') });
    for (let sample = 0; sample < samples; sample++) {
      const delayMs = Math.floor(random() * whole.durationMs);
      const check = new LeakCheck();
      const child = bench.spawnNode([example, 'nginx:1.18']);
      const closed = once(child, 'close');
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      child.kill('SIGKILL');
      await closed;
      const leaks = await check.leaks(2000);
      if (leaks.length > 0) throw new Error(`killed after ${delayMs} ms: ${describeLeaks(leaks)}`);
      // The image goes every other time, so that kills fall into the pull as well: a half layer must not be tripped over.
      if (sample % 2 === 0) bench.cli(['rmi', '-f', 'nginx:1.18']);
    }
    expect(await demo()).toMatchObject({ code: 0, output: expect.stringContaining('Welcome to nginx!') });
    expect(bench.cli(['ps', '-aq'])).toEqual({ status: 0, stdout: '', stderr: '' });
  },
  60_000 + samples * 20_000,
);

test('a detached container survives the kill, and dinghy ps finds it', async () => {
  const program = `
    const { Runtime } = require('dinghy');
    new Runtime().run('busybox:1', { name: 'survivor', detached: true, network: 'none', command: ['sleep', '60'] })
      .then(() => { console.log('running'); setInterval(() => {}, 1000); });
  `;
  const child = bench.spawnNode(['-e', program]);
  let output = '';
  child.stdout?.on('data', (chunk) => (output += String(chunk)));
  await eventually(() => output.includes('running'), 30_000);
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect(bench.cli(['ps', '--format', '{{.Names}} {{.State}}']).stdout).toBe('survivor running\n');
  expect(bench.cli(['exec', 'survivor', 'echo', 'still here']).stdout).toBe('still here\n');
  expect(bench.cli(['rm', '-f', 'survivor']).status).toBe(0);
});

test('a script that waits for its container stays alive; one that does not, ends and takes it along', async () => {
  const program = (end: string): string => `
    const { Runtime } = require('dinghy');
    const started = Date.now();
    (async () => {
      const runtime = new Runtime();
      const container = await runtime.run('busybox:1', { network: 'none', command: ['sleep', '1'] });
      ${end}
    })();
  `;
  const run = async (end: string): Promise<{ code: number; output: string; durationMs: number }> => {
    const started = Date.now();
    const child = bench.spawnNode(['-e', program(end)]);
    let output = '';
    child.stdout?.on('data', (chunk) => (output += String(chunk)));
    const [code] = (await once(child, 'close')) as [number];
    return { code, output, durationMs: Date.now() - started };
  };
  expect(await run('console.log((await container.wait()).exitCode); await runtime.close();')).toMatchObject({
    code: 0,
    output: '0\n',
  });
  const check = new LeakCheck();
  expect((await run('console.log("over");')).output).toBe('over\n');
  expect(await check.leaks(2000)).toEqual([]);
});
