// Once, before all test files: a PostgreSQL with its schema, stopped. Each test forks it.
import { Runtime } from 'dinghy';

const schema = `
  create table boats (id int generated always as identity primary key, name text not null unique);
  create table trips (boat int not null references boats, miles numeric not null check (miles > 0));
  insert into boats (name) values ('Albatross'), ('Bonito');
`;

/** Of the process that runs Jest: the base is gone when that ends, however it ends. */
export const runtime = new Runtime();

export default async function setup(): Promise<void> {
  const base = await runtime.run(process.env['POSTGRES_IMAGE'] ?? 'postgres:15', {
    env: { POSTGRES_PASSWORD: 'secret' },
    // Nothing here has to survive the loss of power.
    command: ['postgres', '-c', 'fsync=off', '-c', 'full_page_writes=off'],
    ports: [5432],
    shmSize: '128m',
    // It listens before it is ready, and while it is initialised on a socket in a file only.
    waitFor: { exec: ['pg_isready', '-q', '-h', '127.0.0.1'] },
  });
  await base.exec(['psql', '-U', 'postgres', '-q', '-v', 'ON_ERROR_STOP=1'], { input: schema, check: true });
  await base.stop();
  process.env['POSTGRES_BASE'] = base.id; // Jest's workers inherit it
}
