import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Container } from '../../lib';
import { TestBed } from '../support/busybox';

let bed: TestBed;
beforeEach(async () => {
  bed = await TestBed.make();
});
afterEach(async () => {
  await bed.remove();
});

const server = ['sh', '-c', 'mkdir -p /www; echo hello >/www/index.html; exec httpd -f -p [::]:80 -h /www'];
const address6 = async (container: Container, network: string): Promise<string> =>
  (await container.inspect()).networks[network]?.address6?.replace('/64', '') ?? '';
const get = async (container: Container, host: string): Promise<string> =>
  (await container.exec(['sh', '-c', `timeout 2 wget -qO- http://${host}/ 2>/dev/null || echo unreachable`])).stdout;

test('containers on a network with IPv6 reach each other by address and name, and the host reaches them', async () => {
  const front = await bed.runtime.createNetwork({ name: 'front', ipv6: true, internal: true });
  const { subnet6, gateway6 } = await front.inspect();
  expect(subnet6).toMatch(/^fd[0-9a-f:]+::\/64$/);
  expect(gateway6).toBe(`${subnet6?.replace('/64', '')}1`);
  const web = await bed.runtime.run(bed.busybox, {
    ...{ name: 'web', network: 'front', command: server, hostname: 'shop', waitFor: { port: 80 } },
  });
  const address = await address6(web, 'front');
  expect(address.startsWith(subnet6?.replace('/64', '') ?? 'none')).toBe(true);
  const client = await bed.runtime.run(bed.busybox, { network: 'front', command: ['sleep', '1000'] });
  expect(await get(client, `[${address}]`)).toBe('hello\n');
  expect(await (await fetch(`http://[${address}]/`, { headers: { connection: 'close' } })).text()).toBe('hello\n');
  expect((await client.exec(['nslookup', '-type=aaaa', 'web'])).stdout).toContain(`Address: ${address}`);
  expect((await web.exec(['cat', '/etc/hosts'])).stdout).toContain(`\n${address}\tshop\n`);
  expect((await front.inspect()).containers.find(({ name }) => name === 'web')?.address6).toBe(`${address}/64`);
  expect((await client.exec(['ip', '-6', 'addr', 'show', 'dev', 'eth0'])).stdout).not.toContain('tentative');
  // It is so after a restart, and not on a network without.
  await web.restart({ timeoutMs: 0 });
  await web.waitFor({ port: 80 });
  expect(await address6(web, 'front')).toBe(address);
  expect(await get(client, `[${address}]`)).toBe('hello\n');
  const other = await bed.runtime.run(bed.busybox, { command: ['sleep', '1000'] });
  expect((await other.exec(['ip', '-6', 'addr', 'show', 'dev', 'eth0'])).stdout).toBe('');
  expect(await get(other, `[${address}]`)).toBe('unreachable\n');
});

test('one joins and leaves it while it runs; published ports are there on ::1 all the same', async () => {
  const front = await bed.runtime.createNetwork({ name: 'front', ipv6: true });
  const web = await bed.runtime.run(bed.busybox, {
    ...{ name: 'web', hostname: 'shop', command: server, ports: ['0:80'], waitFor: { port: 80 } },
  });
  const names = (): string[] => readdirSync(join(bed.root, 'networks/front/names')).sort();
  await front.connect(web);
  const address = await address6(web, 'front');
  const client = await bed.runtime.run(bed.busybox, { network: 'front', command: ['sleep', '1000'] });
  expect(await get(client, `[${address}]`)).toBe('hello\n');
  expect(names()).toContain(address);
  expect((await web.exec(['cat', '/etc/hosts'])).stdout).toContain(`${address}\tshop\n`);
  const { host, port } = await web.port(80);
  expect(host).toBe('127.0.0.1');
  for (const local of ['127.0.0.1', '[::1]']) {
    const answer = await fetch(`http://${local}:${port}/`, { headers: { connection: 'close' } });
    expect(await answer.text()).toBe('hello\n');
  }
  await front.disconnect(web);
  expect(names()).not.toContain(address);
  expect((await web.exec(['cat', '/etc/hosts'])).stdout).not.toContain(address);
  expect(await get(client, `[${address}]`)).toBe('unreachable\n');
});
