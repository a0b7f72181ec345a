// A web application and its database, each in a container, on a network of their own: node examples/build/two-tier.js [node-image]
// The image needs Node and the package pg. The application reaches the database by an alias, and is published to the host.
import { Runtime } from 'dinghy';

import { timed } from './console';

// `pg` takes the host's name and all else from the environment, as PostgreSQL's own clients do.
const application = `
const { createServer } = require('node:http');
const { Pool } = require('pg');
const pool = new Pool();
const visit = 'insert into visits values (default) returning number';
createServer((request, response) => {
  pool.query(visit).then(
    ({ rows }) => response.end('visit ' + rows[0].number + '\\n'),
    (error) => response.writeHead(500).end(error.message + '\\n'),
  );
}).listen(3000, () => console.log('listening'));
process.on('SIGTERM', () => process.exit(0));
`;

async function main(runtime: Runtime): Promise<void> {
  const nodeImage = process.argv[2] ?? 'node:18';
  const password = 'secret';
  const back = await runtime.createNetwork({ internal: true }); // the database has nothing to do outside
  const front = await runtime.createNetwork();
  const database = await timed('database', () =>
    runtime.run('postgres:15', {
      env: { POSTGRES_PASSWORD: password, POSTGRES_DB: 'fleet' },
      network: { [back.name]: { aliases: ['db'] } },
      // Its entrypoint starts it once to set it up, and then for good.
      waitFor: { log: 'ready to accept connections', times: 2 },
    }),
  );
  const table = 'create table visits (number serial primary key)';
  await timed('table', () =>
    database.exec(['psql', '-U', 'postgres', 'fleet', '-c', table], { user: 'postgres', check: true }),
  );
  const web = await timed('application', () =>
    runtime.run(nodeImage, {
      command: ['node', '/app/server.js'],
      files: [{ path: '/app/server.js', content: application }],
      env: { PGHOST: 'db', PGUSER: 'postgres', PGPASSWORD: password, PGDATABASE: 'fleet' },
      network: { [front.name]: {}, [back.name]: {} },
      ports: [3000],
      waitFor: { port: 3000 },
    }),
  );
  const { port } = await web.port(3000);
  for (const host of ['127.0.0.1', '[::1]']) {
    const text = await timed('fetch', async () => (await fetch(`http://${host}:${port}/`)).text());
    console.log(`  ${text.trim()}`);
  }
  await timed('stop', () => Promise.all([web.stop(), database.stop()]));
}

const runtime = new Runtime();
void main(runtime).finally(() => runtime.close());
