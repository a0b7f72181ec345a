import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Container, Network } from '../../lib';
import { addressOf, getCommand, linkNames, reach } from '../support/networks';
import { TestBed } from '../support/busybox';

let bed: TestBed;
beforeEach(async () => {
  bed = await TestBed.make();
});
afterEach(async () => {
  await bed.remove();
});

const server = ['sh', '-c', 'mkdir /www; echo "hello from $HOSTNAME" >/www/index.html; exec httpd -f -p 80 -h /www'];

function serve(network: Network | string, name: string, options: object = {}): Promise<Container> {
  return bed.runtime.run(bed.busybox, {
    ...{ command: server, hostname: name, name, network, waitFor: { port: 80 } },
    ...options,
  });
}

test('a network is made, found, described, and gone with the Runtime', async () => {
  const before = Date.now();
  const network = await bed.runtime.createNetwork({ name: 'front', labels: { team: 'blue' }, mtu: 1400 });
  expect(network).toMatchObject({ name: 'front', subnet: expect.stringMatching(/^10\.\d+\.\d+\.0\/24$/) as string });
  const described = await network.inspect();
  expect(described).toEqual({
    id: network.id,
    name: 'front',
    created: expect.any(Date) as Date,
    subnet: network.subnet,
    gateway: network.subnet.replace('.0/24', '.1'),
    bridge: expect.stringMatching(/^dinghy[0-9a-f]{8}$/) as string,
    internal: false,
    mtu: 1400,
    labels: { team: 'blue' },
    detached: false,
    containers: [],
  });
  expect(described.created.getTime()).toBeGreaterThanOrEqual(before);
  const other = bed.newRuntime();
  expect((await other.network('front')).id).toBe(network.id);
  expect((await other.network(network.id.slice(0, 12))).name).toBe('front');
  expect((await other.networks()).map(({ name }) => name)).toEqual(['bridge', 'front']);
  const listed = async (filters: object) => (await other.networks({ filters })).map(({ name }) => name);
  expect(await listed({ label: 'team=blue' })).toEqual(['front']);
  expect(await listed({ name: 'ron', dangling: true })).toEqual(['front']);
  expect(await listed({ id: network.id.slice(0, 12), dangling: false })).toEqual([]);
  // Let go, not removed: it is another's.
  await (await other.network('front')).close();
  await other.close();
  const third = bed.newRuntime();
  await bed.runtime.close();
  await expect(third.network('front')).rejects.toMatchObject({ code: 'ERR_NETWORK_NOT_FOUND' });
  expect(readdirSync(join(bed.root, 'networks'))).toEqual(['bridge']);
  await third.close();
});

test('containers on a network reach each other, the host and no other network', async () => {
  const front = await bed.runtime.createNetwork({ name: 'front', mtu: 1400 });
  const back = await bed.runtime.createNetwork({ name: 'back' });
  const web = await serve(front, 'web', { ports: [80] });
  const { networks } = await web.inspect();
  expect(networks).toEqual({
    front: {
      address: expect.stringMatching(/\/24$/) as string,
      gateway: (await front.inspect()).gateway,
      mac: expect.any(String) as string,
      aliases: [],
    },
  });
  const address = await addressOf(web, 'front');
  expect(await reach(bed, 'front', address)).toBe('hello from web');
  expect(await reach(bed, 'back', address)).toBe('unreachable');
  expect(await reach(bed, 'bridge', address)).toBe('unreachable');
  const { host, port } = await web.port(80);
  expect(await (await fetch(`http://${host}:${port}/`)).text()).toBe('hello from web\n');
  const mtu = await web.exec(['cat', '/sys/class/net/eth0/mtu']);
  expect(mtu.stdout).toBe('1400\n');

  // The bridge is there for whom it is for.
  const { bridge, containers } = await front.inspect();
  expect(containers).toEqual([{ id: web.id, name: 'web', address: networks['front']?.address }]);
  expect(readFileSync(`/sys/class/net/${bridge}/mtu`, 'utf8')).toBe('1400\n');
  expect(linkNames()).not.toContain((await back.inspect()).bridge);
  await expect(front.remove()).rejects.toMatchObject({
    code: 'ERR_NETWORK_IN_USE',
    details: { network: 'front', containers: ['web'] },
  });
  await web.stop({ timeoutMs: 0 });
  await expect(front.remove()).rejects.toMatchObject({ code: 'ERR_NETWORK_IN_USE' });
  await web.remove();
  expect(linkNames()).not.toContain(bridge);
  await front.remove();
  await expect(front.inspect()).rejects.toMatchObject({ code: 'ERR_NETWORK_NOT_FOUND' });
  await expect(serve(front, 'late')).rejects.toMatchObject({
    code: 'ERR_NETWORK_NOT_FOUND',
    details: { network: 'front' },
  });
  await expect(bed.runtime.container('late')).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
});

test('nothing gets out of an internal network, or in', async () => {
  const vault = await bed.runtime.createNetwork({ name: 'vault', internal: true });
  const safe = await serve('vault', 'safe');
  const address = await addressOf(safe, 'vault');
  expect(await reach(bed, 'vault', address)).toBe('hello from safe');
  expect(await reach(bed, 'bridge', address)).toBe('unreachable');
  expect((await safe.exec(['ip', 'route'])).stdout).not.toContain('default');
  const web = await serve('bridge', 'web');
  const outside = await addressOf(web, 'bridge');
  const { gateway } = await vault.inspect();
  // Also with a route that a privileged container makes itself.
  const attack = ['sh', '-c', `ip route add default via ${gateway} && ${getCommand(outside)}`];
  const { stdout } = await bed.runtime.exec(bed.busybox, attack, { network: 'vault', capAdd: ['NET_ADMIN'] });
  expect(stdout).toBe('unreachable\n');
  await expect(serve('vault', 'shop', { ports: [80] })).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
    message: expect.stringContaining('internal') as string,
  });
  await expect(bed.runtime.container('shop')).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  expect((await vault.inspect()).containers).toHaveLength(1);
});

test('a taken name and a subnet in use are refused', async () => {
  const { runtime } = bed;
  const made = await runtime.createNetwork({ name: 'one', subnet: '10.255.77.0/28', gateway: '10.255.77.14' });
  expect(await made.inspect()).toMatchObject({ subnet: '10.255.77.0/28', gateway: '10.255.77.14' });
  for (const name of ['one', 'bridge', 'host', 'none', 'default']) {
    await expect(runtime.createNetwork({ name })).rejects.toMatchObject({ code: 'ERR_NAME_IN_USE' });
  }
  await expect(runtime.createNetwork({ subnet: '10.255.76.0/22' })).rejects.toMatchObject({
    code: 'ERR_SUBNET_IN_USE',
    message: expect.stringContaining('network one') as string,
  });
  // A route of the host: here the one to the default network, whose record another data folder does not see.
  const web = await serve('bridge', 'web');
  const { subnet } = await (await runtime.network('bridge')).inspect();
  const elsewhere = await TestBed.make();
  await expect(elsewhere.runtime.createNetwork({ subnet })).rejects.toMatchObject({
    code: 'ERR_SUBNET_IN_USE',
    message: expect.stringContaining("the host's route") as string,
  });
  await elsewhere.remove();
  await web.close();
  await expect(runtime.network('bridge').then((network) => network.remove())).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
  });
  await expect(runtime.network('missing')).rejects.toMatchObject({ code: 'ERR_NETWORK_NOT_FOUND' });
  expect(readdirSync(join(bed.root, 'networks'))).toEqual(['bridge', 'one']);
});

test('the last address is given, and the one after it refused', async () => {
  const network = await bed.runtime.createNetwork({ subnet: '10.255.78.0/30' });
  const only = await bed.runtime.create(bed.busybox, { network });
  expect(await addressOf(only, network.name)).toBe('10.255.78.2');
  await expect(bed.runtime.create(bed.busybox, { network })).rejects.toMatchObject({ code: 'ERR_NO_SPACE' });
  await only.close();
  await (await bed.runtime.create(bed.busybox, { network })).close();
});

test('a container tells its names on its network while it runs', async () => {
  const network = await bed.runtime.createNetwork({ name: 'front' });
  const folder = join(bed.root, 'networks/front/names');
  const web = await serve(network, 'web', { aliases: ['www', 'shop.local', 'www'] });
  const address = await addressOf(web, 'front');
  expect((await web.inspect()).networks['front']?.aliases).toEqual(['www', 'shop.local']);
  const told = (): string[] => readFileSync(join(folder, address), 'utf8').split('\n');
  expect(readdirSync(folder)).toEqual([address]);
  expect(told()).toEqual(['web', 'www', 'shop.local', web.id.slice(0, 12), web.id, '']);
  await web.rename('site');
  expect(told()[0]).toBe('site');
  await web.stop({ timeoutMs: 0 });
  expect(readdirSync(folder)).toEqual([]);
  await web.start();
  expect(told()[0]).toBe('site');
  await web.close();
  expect(readdirSync(folder)).toEqual([]);
  await expect(bed.runtime.create(bed.busybox, { aliases: ['x'] })).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
  });
});

test('eight processes want one network', async () => {
  const code = `
    try { await runtime.createNetwork({ name: 'one', detached: true }); say('made'); }
    catch (error) { say(error.code); }`;
  const started = Array.from({ length: 8 }, () => bed.child(code));
  const outputs = await Promise.all(started.map(async ({ ended }) => (await ended).output.trim()));
  expect(outputs.filter((output) => output === 'made')).toHaveLength(1);
  expect(outputs.filter((output) => output === 'ERR_NAME_IN_USE')).toHaveLength(7);
  expect(readdirSync(join(bed.root, 'networks'))).toEqual(['bridge', 'one']);
});

test('what happens to networks is told', async () => {
  const since = new Date();
  await (await bed.runtime.createNetwork({ name: 'told' })).remove();
  const seen: string[] = [];
  for await (const { action, id } of bed.runtime.events({ since, until: new Date(), filters: { type: 'network' } })) {
    seen.push(`${action} ${id}`);
  }
  expect(seen).toEqual(['create told', 'destroy told']);
});

const rounds = Number(process.env['DINGHY_TEST_NETWORK_ROUNDS'] ?? 1);
test.each(Array.from({ length: rounds }, (_unused, round) => round + 1))(
  'fifty networks come and go, round %d',
  async () => {
    const networks = await Promise.all(Array.from({ length: 50 }, () => bed.runtime.createNetwork()));
    expect(new Set(networks.map(({ subnet }) => subnet)).size).toBe(50);
    const some = networks.slice(0, 5);
    const containers = await Promise.all(some.map((network) => serve(network, `on-${network.name}`)));
    await Promise.all(containers.map((container) => container.close()));
    await Promise.all(networks.map((network) => network.remove()));
    expect(readdirSync(join(bed.root, 'networks'))).toEqual(['bridge']);
  },
);

test('a container is on several networks, with an address that it asked for', async () => {
  const front = await bed.runtime.createNetwork({ name: 'front', subnet: '10.255.79.0/24' });
  await bed.runtime.createNetwork({ name: 'inner', internal: true });
  const web = await serve('bridge', 'web', {
    network: { inner: {}, front: { address: '10.255.79.77', aliases: ['www'] }, bridge: {} },
    ports: [80],
  });
  const { networks } = await web.inspect();
  expect(Object.keys(networks)).toEqual(['inner', 'front', 'bridge']);
  expect(networks['front']).toMatchObject({ address: '10.255.79.77/24', aliases: ['www'] });
  for (const name of ['inner', 'front', 'bridge']) {
    expect(await reach(bed, name, await addressOf(web, name))).toBe('hello from web');
    const names = readdirSync(join(bed.root, 'networks', name)).includes('names')
      ? readdirSync(join(bed.root, 'networks', name, 'names'))
      : [];
    expect(names).toEqual(name === 'bridge' ? [] : [await addressOf(web, name)]);
  }
  // The first that is not internal leads out.
  const routes = (await web.exec(['ip', 'route'])).stdout;
  expect(routes.match(/default.*/g)?.map((line) => line.trim())).toEqual(['default via 10.255.79.1 dev eth1']);
  const { host, port } = await web.port(80);
  expect(await (await fetch(`http://${host}:${port}/`)).text()).toBe('hello from web\n');
  await expect(
    bed.runtime.create(bed.busybox, { network: { front: { address: '10.255.79.77' } } }),
  ).rejects.toMatchObject({
    code: 'ERR_ADDRESS_IN_USE',
    details: { address: '10.255.79.77', container: web.id },
  });
  // What one network refuses gives the others' addresses back.
  await expect(
    bed.runtime.create(bed.busybox, { network: { inner: {}, front: { address: '10.255.79.1' } } }),
  ).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await expect(bed.runtime.create(bed.busybox, { network: { front: {}, [front.id]: {} } })).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
  });
  expect(readdirSync(join(bed.root, 'networks/inner/addresses'))).toHaveLength(1);
  await web.restart({ timeoutMs: 0 });
  expect((await web.inspect()).networks).toEqual(networks);
  await web.close();
  expect(linkNames().filter((name) => name.endsWith(web.id.slice(0, 12)))).toEqual([]);
  expect(readdirSync(join(bed.root, 'networks/front/addresses'))).toEqual([]);
});
