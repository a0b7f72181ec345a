import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Bench, client, repository } from '../support/e2e';
import { LeakCheck } from '../support/leak-check';

// The packed tarball in a user's CommonJS project, under Jest with its default settings.
let bench: Bench;
let project: string;

beforeAll(async () => {
  bench = await Bench.open({ nginx: '1.18' });
  project = join(bench.folder, 'project');
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, 'dinghy'), { recursive: true });
  const [packed] = JSON.parse(
    client('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', bench.folder, repository]),
  ) as [{ filename: string }];
  client('tar', ['xzf', join(bench.folder, packed.filename), '-C', join(modules, 'dinghy'), '--strip-components=1']);
  // What npm would install beside it, taken from here: the test must not need a registry of packages.
  const { dependencies } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    dependencies: object;
  };
  for (const name of Object.keys(dependencies))
    symlinkSync(join(repository, 'node_modules', name), join(modules, name));
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true }');
  // Pulled once, so that the tests below measure Jest and not the registry.
  expect(bench.cli(['pull', '-q', 'nginx:1.18']).status).toBe(0);
}, 600_000);

afterAll(async () => {
  await bench.close();
});

interface Variant {
  close: boolean;
  fail?: boolean;
}

function writeTests({ close, fail = false }: Variant): void {
  for (const name of ['one', 'two']) {
    writeFileSync(
      join(project, `${name}.test.js`),
      `const { Runtime } = require('dinghy');
      const { appendFileSync } = require('node:fs');
      const runtime = new Runtime();
      afterAll(async () => {
        ${close ? 'await runtime.close();' : ''}
        appendFileSync(${JSON.stringify(join(project, 'ends'))}, Date.now() + '\\n');
      });
      test('${name} fetches the page', async () => {
        const nginx = await runtime.run('nginx:1.18', { ports: [80], waitFor: { port: 80 } });
        const { host, port } = await nginx.port(80);
        const page = await (await fetch('http://' + host + ':' + port)).text();
        expect(page).toContain(${JSON.stringify(fail ? 'another page' : 'Welcome to nginx!')});
      });`,
    );
  }
}

/** Runs Jest in the project; gives its report and how long it stayed after the last test. */
function runJest(args: readonly string[]): { status: number | null; output: string; lingeredMs: number } {
  writeFileSync(join(project, 'ends'), '');
  const jest = join(repository, 'node_modules/jest/bin/jest.js');
  const result = spawnSync(process.execPath, [jest, ...args], {
    cwd: project,
    env: bench.env,
    encoding: 'utf8',
    timeout: 60_000,
  });
  const ended = Date.now();
  const ends = readFileSync(join(project, 'ends'), 'utf8').trim().split('\n').map(Number);
  return { status: result.status, output: result.stdout + result.stderr, lingeredMs: ended - Math.max(...ends) };
}

const silent = /did not exit|open handle|failed to exit gracefully|after the Jest environment has been torn down|leak/i;

test.each<[string, Variant, string[]]>([
  ['closed', { close: true }, []],
  ['closed, in one process', { close: true }, ['-i']],
  ['closed, looking for open handles', { close: true }, ['--detectOpenHandles']],
  ['close forgotten', { close: false }, []],
  ['close forgotten, in one process', { close: false }, ['-i']],
  ['close forgotten, looking for open handles', { close: false }, ['--detectOpenHandles']],
])('%s: passes, ends within a second, leaves nothing', async (_name, variant, args) => {
  const check = new LeakCheck();
  writeTests(variant);
  const { status, output, lingeredMs } = runJest(args);
  expect(output).toMatch(/Tests: +2 passed, 2 total/);
  expect(output).not.toMatch(silent);
  expect(status).toBe(0);
  expect(lingeredMs).toBeLessThan(1000);
  expect(await check.leaks(2000)).toEqual([]);
});

test.each<[string, Variant, string[]]>([
  ['failing', { close: true, fail: true }, []],
  ['failing, close forgotten, in one process', { close: false, fail: true }, ['-i']],
])('%s: fails as a test does, ends within a second, leaves nothing', async (_name, variant, args) => {
  const check = new LeakCheck();
  writeTests(variant);
  const { status, output, lingeredMs } = runJest(args);
  expect(output).toMatch(/Tests: +2 failed, 2 total/);
  expect(output).toContain('another page');
  expect(output).not.toMatch(silent);
  expect(status).toBe(1);
  expect(lingeredMs).toBeLessThan(1000);
  expect(await check.leaks(2000)).toEqual([]);
});
