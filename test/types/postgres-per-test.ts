// A test suite that gives every test its own PostgreSQL: one base is set up once, each test forks it.
import { Runtime, type Container } from 'dinghy';

const runtime = new Runtime();
let base: Container;

export async function beforeAll(): Promise<void> {
  base = await runtime.run('postgres:16', {
    env: { POSTGRES_PASSWORD: 'secret' },
    tmpfs: { '/tmp': 'size=64m' },
    memory: '512m',
    shmSize: '128m',
    ports: [5432],
    waitFor: { exec: ['pg_isready', '-q', '-h', '127.0.0.1'] }, // a fork waits for the same
    onPullProgress: ({ phase, overall }) => console.log(phase, overall.current, overall.total),
  });
  const migrated = await base.exec(['psql', '-U', 'postgres'], { input: 'create table t (id int);', check: true });
  console.log(migrated.stdout.trim(), migrated.durationMs);
  await base.stop();
}

export async function withDatabase(test: (url: string) => Promise<void>): Promise<void> {
  const database = await base.fork();
  try {
    const { host, port } = await database.port(5432);
    await test(`postgres://postgres:secret@${host}:${port}/postgres`);
  } finally {
    await database.close();
  }
}

export async function afterAll(): Promise<void> {
  await runtime.close();
}
