import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { TestBed } from '../support/busybox';
import { linkNames } from '../support/networks';
import { until } from '../support/until';

let bed: TestBed;
beforeEach(async () => {
  bed = await TestBed.make();
});
afterEach(async () => {
  await bed.remove();
});

test('a killed owner leaves nothing', async () => {
  const code = `
    const network = await runtime.createNetwork({ name: 'lost' });
    await runtime.run(given, { command: ['sleep', '60'], network });
    say((await network.inspect()).bridge);
    await new Promise(() => setInterval(() => undefined, 1000));`;
  const { child, ended } = bed.child(code, bed.busybox);
  const bridge = await new Promise<string>((resolve) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
  });
  expect(linkNames()).toContain(bridge);
  expect((await (await bed.runtime.network('lost')).inspect()).containers).toHaveLength(1);
  child.kill('SIGKILL');
  await ended;
  await until('the bridge goes', () => !linkNames().includes(bridge));
  const runtime = bed.newRuntime();
  await until('the network goes', async () => (await runtime.networks()).every(({ name }) => name !== 'lost'));
  expect(existsSync(join(bed.root, 'networks/lost'))).toBe(false);
  await runtime.close();
});

test('the name of a killed owner’s network is free again, and a detached one stays', async () => {
  const code = `
    await runtime.createNetwork({ name: 'lost', labels: { of: 'the dead' } });
    await runtime.createNetwork({ name: 'kept', detached: true });
    process.kill(process.pid, 'SIGKILL');`;
  await bed.child(code).ended;
  const again = await bed.runtime.createNetwork({ name: 'lost' });
  expect(await again.inspect()).toMatchObject({ labels: {} });
  expect(await (await bed.runtime.network('kept')).inspect()).toMatchObject({ detached: true });
  // An owned one of a living process is not for others to prune.
  expect((await bed.newRuntime().prune({ networks: true })).networks).toEqual(['kept']);
  expect((await bed.runtime.networks()).map(({ name }) => name)).toEqual(['bridge', 'lost']);
});

test('an owned network that another’s container is on stays until that has gone', async () => {
  const network = await bed.runtime.createNetwork({ name: 'shared' });
  const other = bed.newRuntime();
  const web = await other.run(bed.busybox, { command: ['sleep', '60'], network: 'shared', detached: true });
  await network.close();
  expect((await (await other.network('shared')).inspect()).containers).toHaveLength(1);
  await web.remove({ force: true });
  expect((await other.networks()).map(({ name }) => name)).toEqual(['bridge']);
  await other.close();
});
