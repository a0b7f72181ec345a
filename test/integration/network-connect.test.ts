import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import type { Container, DinghyError } from '../../lib';
import { TestBed } from '../support/busybox';
import { addressOf, linkNames, reach } from '../support/networks';

let bed: TestBed;
beforeEach(async () => {
  bed = await TestBed.make();
});
afterEach(async () => {
  await bed.remove();
});

const sleeping = { command: ['sleep', '1000'] };
const server = ['sh', '-c', 'mkdir -p /www; echo hello >/www/index.html; exec httpd -f -p 80 -h /www'];
const web = (options: object = {}): Promise<Container> =>
  bed.runtime.run(bed.busybox, { command: server, name: 'web', waitFor: { port: 80 }, ...options });
const defaultRoute = async (container: Container): Promise<string> =>
  /^default via (.*?) *$/m.exec((await container.exec(['ip', 'route'])).stdout)?.[1] ?? '';
const supervisorOf = ({ id }: Container): number => {
  const state = readFileSync(join(bed.root, 'containers', id, 'state.json'), 'utf8');
  return (JSON.parse(state) as { supervisorPid: number }).supervisorPid;
};
const files = (...parts: string[]): string[] => readdirSync(join(bed.root, 'networks', ...parts));

test('a running container joins a network and leaves it', async () => {
  const container = await web({ network: 'bridge' });
  const front = await bed.runtime.createNetwork({ name: 'front', subnet: '10.255.80.0/24', mtu: 1400 });
  const before = await defaultRoute(container);
  await front.connect(container, { aliases: ['www'], address: '10.255.80.7' });
  const { networks } = await container.inspect();
  expect(Object.keys(networks)).toEqual(['bridge', 'front']);
  expect(networks['front']).toMatchObject({ address: '10.255.80.7/24', gateway: '10.255.80.1', aliases: ['www'] });
  expect((await front.inspect()).containers).toEqual([{ id: container.id, name: 'web', address: '10.255.80.7/24' }]);
  expect(await reach(bed, 'front', '10.255.80.7')).toBe('hello');
  expect(await defaultRoute(container)).toBe(before);
  expect(readFileSync(join(bed.root, 'networks/front/names/10.255.80.7'), 'utf8')).toContain('web\nwww\n');
  // It is so after a restart too, and a rename reaches it.
  await container.restart({ timeoutMs: 0 });
  await container.waitFor({ port: 80 });
  expect(await reach(bed, 'front', '10.255.80.7')).toBe('hello');
  expect((await container.inspect()).networks).toEqual(networks);
  await expect(front.connect('web')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  expect(files('front', 'addresses')).toEqual(['10.255.80.7']);

  await front.disconnect(container);
  expect(Object.keys((await container.inspect()).networks)).toEqual(['bridge']);
  expect(await reach(bed, 'front', '10.255.80.7')).toBe('unreachable');
  expect([files('front', 'addresses'), files('front', 'names')]).toEqual([[], []]);
  expect((await container.exec(['ls', '/sys/class/net'])).stdout.split(/\s+/)).not.toContain('eth1');
  expect(linkNames()).not.toContain((await front.inspect()).bridge);
  await expect(front.disconnect(container)).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
    message: expect.stringContaining('not on network front') as string,
  });
  await front.remove();
  expect(await reach(bed, 'bridge', await addressOf(container, 'bridge'))).toBe('hello');
});

test('where the default route left with a network, another leads out; published ports lead to what is left', async () => {
  const [one, two] = [
    await bed.runtime.createNetwork({ name: 'one' }),
    await bed.runtime.createNetwork({ name: 'two' }),
  ];
  const container = await web({ network: { one: {} }, ports: [80] });
  await two.connect(container.id);
  const { host, port } = await container.port(80);
  const text = async (): Promise<string> =>
    (await fetch(`http://${host}:${port}/`, { headers: { connection: 'close' } })).text();
  expect(await text()).toBe('hello\n');
  await one.disconnect(container);
  expect(await defaultRoute(container)).toBe(`${(await two.inspect()).gateway} dev eth1`);
  expect(await text()).toBe('hello\n');
  await two.disconnect(container);
  expect((await container.inspect()).networks).toEqual({});
  expect(await defaultRoute(container)).toBe('');
  await expect(text()).rejects.toThrow();
  // eth0 is free again.
  await one.connect(container);
  expect(await defaultRoute(container)).toBe(`${(await one.inspect()).gateway} dev eth0`);
  expect(await text()).toBe('hello\n');
  await container.restart({ timeoutMs: 0 });
  await container.waitFor({ port: 80 });
  expect(await text()).toBe('hello\n');
  await container.close();
  expect([files('one', 'addresses'), files('two', 'addresses')]).toEqual([[], []]);
});

test('one that does not run joins for its next start, also a detached one that nobody supervises', async () => {
  const front = await bed.runtime.createNetwork({ name: 'front' });
  const owned = await bed.runtime.create(bed.busybox, { command: server, network: 'bridge' });
  const other = bed.newRuntime();
  const detached = await other.create(bed.busybox, { command: server, name: 'stays', detached: true });
  await other.close();
  for (const container of [owned, await bed.runtime.container('stays')]) {
    await front.connect(container);
    expect(files('front', 'names')).toEqual([]);
    await container.start();
    await container.waitFor({ port: 80 });
    expect(await reach(bed, 'front', await addressOf(container, 'front'))).toBe('hello');
    await container.stop({ timeoutMs: 0 });
    await front.disconnect(container.id.slice(0, 12));
    expect(files('front', 'addresses')).toEqual([]);
    await container.remove();
  }
  await expect(front.connect(detached)).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  expect(files('front', 'addresses')).toEqual([]);
});

test('what cannot be joined is refused, and takes nothing', async () => {
  const front = await bed.runtime.createNetwork({ name: 'front', subnet: '10.255.81.0/29' });
  const alone = await bed.runtime.create(bed.busybox, { network: 'none' });
  const first = await bed.runtime.create(bed.busybox, { network: { front: { address: '10.255.81.2' } } });
  const second = await bed.runtime.create(bed.busybox);
  await expect(front.connect(alone)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await expect(front.connect(second, { address: '10.255.81.2' })).rejects.toMatchObject({
    code: 'ERR_ADDRESS_IN_USE',
    details: { container: first.id },
  });
  for (const options of [{ address: '10.255.80.2' }, { address: '10.255.81.1' }, { aliases: ['a b'] }, { ip: 1 }]) {
    await expect(front.connect(second, options as never)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  }
  await expect(front.connect('nobody')).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  await expect(front.connect({} as never)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  expect(files('front', 'addresses')).toEqual(['10.255.81.2']);
  await first.close();
  await front.remove();
  await expect(front.connect(second)).rejects.toMatchObject({ code: 'ERR_NETWORK_NOT_FOUND' });
  await expect(front.disconnect(second)).rejects.toMatchObject({ code: 'ERR_NETWORK_NOT_FOUND' });
  expect(Object.keys((await second.inspect()).networks)).toEqual(['bridge']);
});

test('ten networks at once, each told in the events; a claim that no container confirms is in nobody’s way', async () => {
  const container = await web();
  const since = new Date();
  const networks = await Promise.all(
    Array.from({ length: 10 }, (_unused, index) => bed.runtime.createNetwork({ name: `n${index}` })),
  );
  await Promise.all(networks.map((network) => network.connect(container)));
  const { stdout } = await container.exec(['ls', '/sys/class/net']);
  expect(stdout.match(/eth\d+/g)).toHaveLength(11);
  expect(Object.keys((await container.inspect()).networks)).toHaveLength(11);
  await Promise.all(networks.map((network) => network.disconnect(container)));
  const seen: string[] = [];
  for await (const { action, id, attributes } of bed.runtime.events({
    since,
    until: new Date(),
    filters: { type: 'network', network: 'n3' },
  })) {
    seen.push(`${action} ${id} ${attributes['container'] ?? ''}`.trim());
  }
  expect(seen).toEqual(['create n3', `connect n3 ${container.id}`, `disconnect n3 ${container.id}`]);
  // As a process leaves it that is killed while it connects.
  writeFileSync(join(bed.root, 'networks/n3/addresses/10.1.2.3'), container.id);
  await networks[3]?.remove();
  expect(files()).not.toContain('n3');
});

test('its /etc/hosts follows, in the file that is mounted, and says where the host is now', async () => {
  const [one, two] = [
    await bed.runtime.createNetwork({ name: 'one', subnet: '10.255.82.0/24' }),
    await bed.runtime.createNetwork({ name: 'two', subnet: '10.255.83.0/24' }),
  ];
  const container = await bed.runtime.run(bed.busybox, {
    ...sleeping,
    hostname: 'shop',
    network: { one: { address: '10.255.82.9' } },
    extraHosts: { 'db.local': 'host-gateway' },
  });
  await container.exec(['sh', '-c', 'echo "# mine" >>/etc/hosts']);
  const hosts = async (): Promise<string[]> =>
    (await container.exec(['cat', '/etc/hosts'])).stdout.split('\n').filter((line) => /^10\.|mine/.test(line));
  const start = ['10.255.82.1\thost.dinghy.internal host.docker.internal', '10.255.82.9\tshop'];
  expect(await hosts()).toEqual([...start, '10.255.82.1\tdb.local', '# mine']);
  await two.connect(container, { address: '10.255.83.9' });
  expect(await hosts()).toEqual([...start, '10.255.82.1\tdb.local', '# mine', '10.255.83.9\tshop']);
  await one.disconnect(container);
  const moved = ['10.255.83.1\thost.dinghy.internal host.docker.internal', '10.255.83.1\tdb.local'];
  expect(await hosts()).toEqual([...moved, '# mine', '10.255.83.9\tshop']);
  expect((await container.exec(['hostname', '-i'])).stdout.trim()).toBe('10.255.83.9');
  await container.restart({ timeoutMs: 0 });
  expect(await hosts()).toEqual([...moved, '# mine', '10.255.83.9\tshop']);
});

test('it finds the names of the network that it joins, and those of one that it left no more', async () => {
  // On internal networks alone nothing is passed on to the host's servers.
  for (const name of ['front', 'back']) {
    await bed.runtime.createNetwork({ name, internal: true });
    await bed.runtime.run(bed.busybox, { ...sleeping, name: `db-${name}`, network: { [name]: { aliases: ['db'] } } });
  }
  const [front, back] = [await bed.runtime.network('front'), await bed.runtime.network('back')];
  const bridge = await bed.runtime.network('bridge');
  const client = await bed.runtime.run(bed.busybox, {
    ...sleeping,
    dnsSearch: ['.'],
    dnsOptions: ['edns0'],
  });
  const resolvConf = async (): Promise<string> => (await client.exec(['cat', '/etc/resolv.conf'])).stdout;
  const find = async (name: string): Promise<string | undefined> =>
    /Name:.*\nAddress: (.*)/.exec((await client.exec(['nslookup', '-type=a', name])).stdout)?.[1];
  expect(await resolvConf()).not.toContain('127.0.0.11');
  await front.connect(client);
  await bridge.disconnect(client);
  expect(await resolvConf()).toBe('nameserver 127.0.0.11\noptions edns0\noptions ndots:0\n');
  const address = await addressOf(await bed.runtime.container('db-front'), 'front');
  expect([await find('db-front'), await find('db'), await find('db-back')]).toEqual([address, address, undefined]);
  await back.connect(client);
  await front.disconnect(client);
  const other = await addressOf(await bed.runtime.container('db-back'), 'back');
  expect([await find('db-front'), await find('db'), await find('db-back')]).toEqual([undefined, other, other]);
  // On no network there is a resolver still, which knows nobody; after a restart, too.
  await back.disconnect(client);
  for (const again of [false, true]) {
    if (again) await client.restart({ timeoutMs: 0 });
    expect((await client.exec(['nslookup', 'db'])).stdout).toContain("can't find db: NXDOMAIN");
  }
  await front.connect(client);
  expect(await find('db')).toBe(address);
});

test('a paused container joins and leaves; ports of one that is left on an internal network are closed', async () => {
  const vault = await bed.runtime.createNetwork({ name: 'vault', internal: true });
  const front = await bed.runtime.createNetwork({ name: 'front' });
  const container = await web({ network: 'front', ports: [80, '0:80'] });
  const { host, port } = await container.port(80);
  await container.pause();
  await vault.connect(container);
  await front.disconnect(container);
  await container.unpause();
  expect(await reach(bed, 'vault', await addressOf(container, 'vault'))).toBe('hello');
  expect(await defaultRoute(container)).toBe('');
  await expect(fetch(`http://${host}:${port}/`)).rejects.toThrow();
  await expect(container.port(80)).rejects.toMatchObject({ code: 'ERR_PORT_NOT_PUBLISHED' });
  // Somebody else has the number meanwhile, which was any free one: another will do.
  const squatter = createServer().listen(port, host);
  await once(squatter, 'listening');
  await front.connect(container);
  const again = await container.port(80);
  expect(again.port).not.toBe(port);
  const answer = await fetch(`http://${again.host}:${again.port}/`, { headers: { connection: 'close' } });
  expect(await answer.text()).toBe('hello\n');
  // But a number that was asked for is that one, and then it joins nothing.
  const [free, claims] = [again.port, files('front', 'addresses')];
  const fixed = await bed.runtime
    .run(bed.busybox, { ...sleeping, network: 'front', ports: [`127.0.0.1:${free}:80`] })
    .catch((error: DinghyError) => error.code);
  expect(fixed).toBe('ERR_PORT_IN_USE');
  await container.close();
  const asked = await bed.runtime.run(bed.busybox, { ...sleeping, network: 'front', ports: [`127.0.0.1:${free}:80`] });
  await front.disconnect(asked);
  const holder = createServer().listen(free, '127.0.0.1');
  await once(holder, 'listening');
  const before = linkNames().sort();
  await expect(front.connect(asked)).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' });
  expect(claims).toHaveLength(1);
  expect([files('front', 'addresses'), files('front', 'names'), linkNames().sort()]).toEqual([[], [], before]);
  expect((await asked.exec(['ls', '/sys/class/net'])).stdout).toBe('lo\n');
  squatter.close();
  holder.close();
});

test('a client killed in the middle leaves the container on the network or not, and no address taken', async () => {
  const front = await bed.runtime.createNetwork({ name: 'front', subnet: '10.255.84.0/29' });
  const container = await bed.runtime.run(bed.busybox, { ...sleeping, detached: true, name: 'steady' });
  const code = `
    const [container, front] = [await runtime.container('steady'), await runtime.network('front')];
    say('ready');
    for (;;) {
      await front.connect(container).catch((error) => { if (error.code !== 'ERR_INVALID_OPTION') throw error; });
      await front.disconnect(container);
    }`;
  for (let round = 0; round < 6; round++) {
    const { child, ended } = bed.child(code);
    await once(child.stdout!, 'data');
    await new Promise((resolve) => setTimeout(resolve, 3 + 9 * round));
    child.kill('SIGKILL');
    expect(await ended).toEqual({ code: null, output: 'ready\n' });
  }
  // Of five addresses none is lost: the last word is this process's.
  await front.connect(container).catch(() => undefined);
  expect(files('front', 'addresses')).toHaveLength(1);
  expect((await front.inspect()).containers).toEqual([
    { id: container.id, name: 'steady', address: (await container.inspect()).networks['front']?.address },
  ]);
  await front.disconnect(container);
  expect([files('front', 'addresses'), files('front', 'names')]).toEqual([[], []]);
  await container.remove({ force: true });
});

test('a supervisor killed in the middle leaves nothing in the kernel, and the next start has what its files say', async () => {
  const front = await bed.runtime.createNetwork({ name: 'front', subnet: '10.255.85.0/29' });
  const { bridge } = await front.inspect();
  const container = await bed.runtime.create(bed.busybox, { command: server, detached: true, name: 'web' });
  for (let round = 0; round < 6; round++) {
    await container.start();
    const supervisorPid = supervisorOf(container);
    const isOn = 'front' in (await container.inspect()).networks;
    const changed = (isOn ? front.disconnect(container) : front.connect(container)).then(
      () => 'done',
      (error: DinghyError) => error.code,
    );
    await new Promise((resolve) => setTimeout(resolve, 1 + 2 * round));
    process.kill(supervisorPid, 'SIGKILL');
    expect(['done', 'ERR_SUPERVISOR']).toContain(await changed);
    await container.wait();
    const state = await container.inspect();
    expect(state.status).toBe('exited');
    const { containers } = await front.inspect();
    expect(containers.map(({ address }) => address)).toEqual(
      'front' in state.networks ? [state.networks['front']?.address] : [],
    );
  }
  await container.start();
  const there = 'front' in (await container.inspect()).networks;
  expect((await container.exec(['ls', '/sys/class/net'])).stdout).toBe(there ? 'eth0\neth1\nlo\n' : 'eth0\nlo\n');
  // Its last supervisor is killed too: what is left goes with its files.
  process.kill(supervisorOf(container), 'SIGKILL');
  await container.remove({ force: true });
  expect(linkNames()).not.toContain(bridge);
  expect(files('front', 'addresses')).toEqual([]);
});
