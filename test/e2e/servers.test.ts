import { Runtime } from 'dinghy';

import { Bench, client } from '../support/e2e';

// Images as people have them: users, entrypoint scripts that drop rights, volumes, stop signals, logs on /dev/stdout.
let bench: Bench;
let runtime: Runtime;

beforeAll(async () => {
  bench = await Bench.open({ nginx: '1.22', redis: '7', postgres: '15', mariadb: '10' });
}, 600_000);

beforeEach(() => {
  runtime = new Runtime(bench.options);
});

afterEach(async () => {
  await runtime.close();
});

afterAll(async () => {
  await bench.close();
});

test('nginx serves a page, logs the request, and stops with 0 at SIGQUIT', async () => {
  const nginx = await runtime.run('nginx:1.22', { ports: [80], waitFor: { port: 80 } });
  const { port } = await nginx.port(80);
  for (const host of ['127.0.0.1', '[::1]']) {
    const page = await (await fetch(`http://${host}:${port}/?from=${encodeURIComponent(host)}`)).text();
    expect(page).toContain('<title>Welcome to nginx!</title>');
  }
  const lines: string[] = [];
  for await (const { stream, line } of nginx.logs({ follow: true })) {
    if (line.includes('GET /')) lines.push(`${stream}: ${line}`);
    if (lines.length === 2) break;
  }
  expect(lines[0]).toMatch(/^stdout: .*"GET \/\?from=127\.0\.0\.1 HTTP\/1\.1" 200/);
  const version = await nginx.exec(['nginx', '-v'], { check: true });
  expect(version.stderr).toBe('nginx version: nginx/1.22.1\n');
  await nginx.stop();
  expect(await nginx.wait()).toMatchObject({ exitCode: 0, signal: null, oomKilled: false });
});

test('redis drops its rights, keeps its data in a volume, and stops with 0', async () => {
  const redis = await runtime.run('redis:7', {
    ports: ['127.0.0.1::6379'],
    waitFor: { log: 'Ready to accept connections' },
  });
  const { port } = await redis.port(6379);
  const cli = (...args: string[]): string => client('redis-cli', ['-h', '127.0.0.1', '-p', String(port), ...args]);
  expect(cli('set', 'boat', 'dinghy')).toBe('OK\n');
  expect(cli('get', 'boat')).toBe('dinghy\n');
  expect((await redis.exec(['id', '-un'], { user: 'redis' })).stdout).toBe('redis\n');
  expect((await redis.exec(['stat', '-c', '%U', '/proc/1', '/data'])).stdout).toBe('redis\nredis\n');
  expect((await redis.inspect()).mounts).toContainEqual(expect.objectContaining({ type: 'volume', target: '/data' }));
  await redis.stop();
  expect(await redis.wait()).toMatchObject({ exitCode: 0 });
});

// What its entrypoint does, in / instead of /data: links below /proc and /sys are followed too. They lead to this root and to that of
// no one else; the leak check looks at the owners of the host's files.
test('a root that gives away everything it can reach gives away its own files, and nothing of the host', async () => {
  const script = 'find . ! -user redis -exec chown redis:redis {} + 2>/dev/null; stat -c %U / /etc/passwd /usr/bin/env';
  const { stdout, stderr } = await runtime.exec('redis:7', ['sh', '-c', script], {
    workdir: '/',
    entrypoint: [],
    network: 'none',
    timeoutMs: 60_000,
  });
  expect({ stdout, stderr }).toEqual({ stdout: 'redis\nredis\nredis\n', stderr: '' });
});

test('PostgreSQL makes its database, answers a client, and stops with 0 at SIGINT', async () => {
  const postgres = await runtime.run('postgres:15', {
    env: { POSTGRES_PASSWORD: 'secret', POSTGRES_DB: 'fleet' },
    ports: [5432],
    shmSize: '128m',
    waitFor: [{ log: /ready to accept connections/, times: 2 }, { port: 5432 }],
  });
  const { host, port } = await postgres.port(5432);
  const psql = (sql: string): string =>
    client('psql', ['-h', host, '-p', String(port), '-U', 'postgres', '-d', 'fleet', '-Atc', sql], {
      PGPASSWORD: 'secret',
    });
  expect(psql('create table boats (name text); insert into boats values ($$dinghy$$); select * from boats')).toContain(
    'dinghy',
  );
  const inside = await postgres.exec(['psql', '-U', 'postgres', 'fleet'], {
    input: 'select count(*) from boats;',
    user: 'postgres',
    check: true,
  });
  expect(inside.stdout).toContain('1 row');
  await postgres.stop();
  expect(await postgres.wait()).toMatchObject({ exitCode: 0 });
  // The data outlives a stop, and the second start makes no second database.
  await postgres.start();
  await postgres.waitFor({ log: 'ready to accept connections' });
  expect((await postgres.exec(['psql', '-U', 'postgres', '-Atc', 'select name from boats', 'fleet'])).stdout).toBe(
    'dinghy\n',
  );
  await postgres.stop();
});

test('MariaDB makes its database, becomes healthy, answers a client, and stops with 0', async () => {
  const mariadb = await runtime.run('mariadb:10', {
    env: {
      MARIADB_ROOT_PASSWORD: 'secret',
      MARIADB_DATABASE: 'fleet',
      MARIADB_USER: 'sailor',
      MARIADB_PASSWORD: "it's",
    },
    ports: [3306],
    waitFor: [{ exec: ['healthcheck.sh'] }, { log: 'MariaDB init process done' }],
  });
  const { host, port } = await mariadb.port(3306);
  const args = ['-h', host, '-P', String(port), '-u', 'sailor', "-pit's", 'fleet', '-N', '-e', 'select 6 * 7'];
  expect(client('mariadb', args)).toBe('42\n');
  await mariadb.stop();
  expect(await mariadb.wait()).toMatchObject({ exitCode: 0 });
});
