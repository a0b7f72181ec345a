// What a fork costs: of a stopped container that wrote 1 GiB; and forty database tests on four Jest workers, each with a fork of a
// PostgreSQL of its own (examples/postgres), beside the same tests with a `CREATE DATABASE ... TEMPLATE` each in one PostgreSQL.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Container, Runtime } from 'dinghy';

import { openBench } from './place';
import { printTable, summarize } from './statistics';

const rounds = Number(process.env['DINGHY_BENCH_ROUNDS'] ?? 5);
const files = 8;
const testsPerFile = 5;
const workers = 4;
const repository = join(__dirname, '..');
const example = join(repository, 'examples/build/postgres');

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Forks of a base with `mebibytes` in its layer and as many in an anonymous volume; the first has to freeze them. */
async function forksOf(runtime: Runtime, mebibytes: number): Promise<{ first: number; others: number[] }> {
  const write = (path: string): string => `dd if=/dev/zero of=${path} bs=1M count=${mebibytes} 2>/dev/null`;
  const base = await runtime.run('busybox:1', {
    network: 'none',
    mounts: [{ type: 'volume', target: '/data' }],
    command: ['sh', '-c', `[ -e /big ] || { ${write('/big')} && ${write('/data/big')}; }; sleep 1000`],
    waitFor: { exec: ['sh', '-c', `[ $(stat -c %s /data/big) = ${mebibytes * 1048576} ]`] },
  });
  await base.kill('SIGKILL');
  await base.wait();
  const forks: Container[] = [];
  const fork = (): Promise<number> => timed(async () => forks.push(await base.fork({ waitFor: [] })));
  const first = await fork();
  const others: number[] = [];
  for (let round = 0; round < 10; round++) others.push(await fork());
  for (const each of [...forks, base]) await each.close();
  return { first, others };
}

/** One way for each test to come to a database: the text of a function that gives `{ client, close }`. */
const ways = {
  fork: `
    const { TestDatabase } = require(${JSON.stringify(join(example, 'database.js'))});
    const makeDatabase = () => TestDatabase.make();`,
  template: `
    const { Client } = require(${JSON.stringify(require.resolve('pg', { paths: [repository] }))});
    const at = JSON.parse(process.env.BENCH_SERVER);
    let number = 0;
    const admin = new Client({ ...at, database: 'template1' });
    beforeAll(() => admin.connect());
    afterAll(() => admin.end());
    async function makeDatabase() {
      const database = 'test_' + process.pid + '_' + ++number;
      await admin.query('create database ' + database + ' template postgres');
      const client = new Client({ ...at, database });
      await client.connect();
      return { client, close: () => client.end().then(() => admin.query('drop database ' + database)) };
    }`,
};

function writeSuite(folder: string, way: keyof typeof ways): void {
  mkdirSync(folder);
  const text = `${ways[way]}
    for (let number = 0; number < ${testsPerFile}; number++) {
      test(String(number), async () => {
        const started = performance.now();
        const database = await makeDatabase();
        try {
          await database.client.query('select 1');
          require('node:fs').appendFileSync(process.env.BENCH_TIMES, performance.now() - started + '\\n');
          await database.client.query("insert into boats (name) values ('Coot')");
          const { rows } = await database.client.query('select name from boats');
          expect(rows).toHaveLength(3);
        } finally {
          await database.close();
        }
      });
    }`;
  for (let file = 0; file < files; file++) writeFileSync(join(folder, `${file}.test.js`), text);
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ jest: { testEnvironment: 'node', testTimeout: 60_000 } }),
  );
}

interface SuiteTimes {
  suite: number;
  firstQuery: number[];
}

async function runSuite(folder: string): Promise<SuiteTimes> {
  const times = join(folder, 'times');
  rmSync(times, { force: true });
  const args = [join(repository, 'node_modules/jest/bin/jest.js'), '-w', String(workers)];
  let said = '';
  const suite = await timed(async () => {
    const env = { ...process.env, BENCH_TIMES: times };
    const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.on('data', (chunk) => (said += String(chunk)));
    const [code] = (await once(child, 'close')) as [number];
    if (code !== 0) throw new Error(`the suite failed:\n${said}`);
  });
  const firstQuery = readFileSync(times, 'utf8').trim().split('\n').map(Number);
  if (firstQuery.length !== files * testsPerFile) throw new Error(`only ${firstQuery.length} tests ran:\n${said}`);
  return { suite, firstQuery };
}

async function main(): Promise<void> {
  const place = await openBench({ busybox: '1', postgres: '15' });
  const folder = mkdtempSync(join(tmpdir(), `dinghy-bench-${process.pid}-suites-`));
  try {
    const { runtime } = place;
    for (const image of ['busybox:1', 'postgres:15']) await runtime.pull(image);
    for (const mebibytes of [1, 512]) {
      const { first, others } = await forksOf(runtime, mebibytes);
      printTable(
        [
          [`fork of ${2 * mebibytes} MiB, the first`, [first]],
          ['ten more', others],
        ],
        first,
      );
    }
    await suites(runtime, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await place.close();
  }
}

async function suites(runtime: Runtime, folder: string): Promise<void> {
  const { root, state } = await runtime.info();
  Object.assign(process.env, { DINGHY_ROOT: root, DINGHY_STATE: state });
  // It makes its Runtime when it is loaded.
  const setup = require(join(example, 'setup.js')) as { runtime: Runtime; default(): Promise<void> };
  await setup.default();
  try {
    const base = await setup.runtime.container(process.env['POSTGRES_BASE']!);
    const times = { fork: [] as SuiteTimes[], template: [] as SuiteTimes[] };
    for (const way of ['fork', 'template'] as const) writeSuite(join(folder, way), way);
    for (let round = 0; round < rounds; round++) {
      times.fork.push(await runSuite(join(folder, 'fork')));
      await base.start();
      await base.waitFor({ exec: ['pg_isready', '-q', '-h', '127.0.0.1'] });
      const at = { ...(await base.port(5432)), user: 'postgres', password: 'secret' };
      process.env['BENCH_SERVER'] = JSON.stringify(at);
      times.template.push(await runSuite(join(folder, 'template')));
      await base.stop();
    }
    const series = (of: SuiteTimes[]): [number[], number[]] => [
      of.map(({ suite }) => suite),
      of.flatMap(({ firstQuery }) => firstQuery),
    ];
    const [forkSuite, forkQuery] = series(times.fork);
    const [templateSuite, templateQuery] = series(times.template);
    const count = files * testsPerFile;
    printTable(
      [
        [`${count} tests, TEMPLATE`, templateSuite],
        [`${count} tests, forks`, forkSuite],
        ['to the first query, TEMPLATE', templateQuery],
        ['to the first query, forks', forkQuery],
      ],
      summarize(templateSuite).median,
    );
  } finally {
    await setup.runtime.close();
  }
}

void main();
