import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { Bench, repository } from '../support/e2e';

// The example that we ship: a suite whose tests each fork a PostgreSQL with the schema in it.
let bench: Bench;

beforeAll(async () => {
  bench = await Bench.open({ postgres: '15' });
}, 600_000);
afterAll(() => bench.close());

test('examples/postgres: what one test writes, the others never see', () => {
  const config = join(repository, 'examples/build/postgres/jest.config.js');
  const args = [join(repository, 'node_modules/jest/bin/jest.js'), '--config', config, '--verbose'];
  const { status, stderr } = spawnSync(process.execPath, args, { env: bench.env, encoding: 'utf8', timeout: 120_000 });
  expect(stderr).toMatch(/^Tests: +3 passed, 3 total$/m);
  expect(status).toBe(0);
}, 150_000);
