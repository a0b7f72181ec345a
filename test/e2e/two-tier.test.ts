import { once } from 'node:events';
import { text } from 'node:stream/consumers';

import { Bench } from '../support/e2e';

let bench: Bench;

beforeAll(async () => {
  bench = await Bench.open({ node: '18', postgres: '15' });
}, 600_000);

afterAll(async () => {
  await bench.close();
});

// Its libc finds the database by its alias; pg is the client that such programs have.
test('a Node server reaches its PostgreSQL by an alias, and is reached from the host by IPv4 and IPv6', async () => {
  const example = bench.spawnNode(['examples/build/two-tier.js']);
  const output = Promise.all([text(example.stdout!), text(example.stderr!)]);
  const [status] = (await once(example, 'close')) as [number];
  const [stdout, stderr] = await output;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.match(/visit \d+/g)).toEqual(['visit 1', 'visit 2']);
}, 120_000);
