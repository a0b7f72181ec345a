import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Container, CreateOptions } from '../../lib';
import { TestBed } from '../support/busybox';
import { addressOf, linkNames } from '../support/networks';
import { until } from '../support/until';

let bed: TestBed;
beforeEach(async () => {
  bed = await TestBed.make();
});
afterEach(async () => {
  await bed.remove();
});

const sleeping: CreateOptions = { command: ['sleep', '1000'], stopSignal: 'SIGKILL' };
const server = (port: number): string[] => [
  'sh',
  '-c',
  `mkdir -p /www; echo from ${port} >/www/index.html; exec httpd -f -p ${port} -h /www`,
];
const run = (options: CreateOptions): Promise<Container> => bed.runtime.run(bed.busybox, { ...sleeping, ...options });
const interfaces = async (container: Container): Promise<string[]> =>
  (await container.exec(['ls', '/sys/class/net'])).stdout.split('\n').filter(Boolean);
const get = async (container: Container, url: string): Promise<string> =>
  (await container.exec(['timeout', '2', 'wget', '-qO-', url])).stdout;
const namespaceOf = async (container: Container): Promise<string> =>
  (await container.exec(['readlink', '/proc/self/ns/net'])).stdout;
const supervisorOf = ({ id }: Container): number => {
  const state = readFileSync(join(bed.root, 'containers', id, 'state.json'), 'utf8');
  return (JSON.parse(state) as { supervisorPid: number }).supervisorPid;
};

test('two containers have one network: addresses, ports, names, files', async () => {
  const front = await bed.runtime.createNetwork({ name: 'front', internal: false });
  const web = await run({
    ...{ name: 'web', hostname: 'shop', network: 'front', command: server(80), waitFor: { port: 80 } },
    ports: [80, 81],
  });
  const side = await run({
    ...{ name: 'side', network: 'container:web', command: server(81) },
    waitFor: [{ port: 81 }, { http: { port: 81 } }],
  });
  expect(await namespaceOf(side)).toBe(await namespaceOf(web));
  expect(await get(side, 'http://127.0.0.1/')).toBe('from 80\n');
  expect(await get(web, 'http://127.0.0.1:81/')).toBe('from 81\n');
  // What is published is the lender's to publish, whoever listens.
  const { host, port } = await web.port(81);
  const answer = await fetch(`http://${host}:${port}/`, { headers: { connection: 'close' } });
  expect(await answer.text()).toBe('from 81\n');
  await expect(side.port(81)).rejects.toMatchObject({ code: 'ERR_PORT_NOT_PUBLISHED' });
  const read = ['sh', '-c', 'hostname; cat /etc/hostname /etc/hosts /etc/resolv.conf'];
  const { stdout } = await side.exec(read);
  expect(stdout).toBe((await web.exec(read)).stdout);
  expect(stdout).toMatch(/^shop\nshop\n/);
  expect(stdout).toContain(`${await addressOf(web, 'front')}\tshop\n`);
  expect((await side.inspect()).networks).toEqual({ [`container:${web.id}`]: { aliases: [] } });
  expect((await front.inspect()).containers.map(({ name }) => name)).toEqual(['web']);
  // It goes where the lender goes, and decides nothing itself.
  const back = await bed.runtime.createNetwork({ name: 'back' });
  await back.connect(web);
  expect(await interfaces(side)).toEqual(['eth0', 'eth1', 'lo']);
  expect((await side.exec(['cat', '/etc/hosts'])).stdout).toContain(`${await addressOf(web, 'back')}\tshop\n`);
  await expect(back.connect(side)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  // A third one by way of the second; also without any network of its own, and with the host's.
  const third = await run({ network: `container:${side.id.slice(0, 12)}` });
  expect(await namespaceOf(third)).toBe(await namespaceOf(web));
  expect((await third.exec(read)).stdout).toBe((await web.exec(read)).stdout);
  for (const network of ['none', 'host']) {
    const lender = await run({ network });
    const borrower = await run({ network: `container:${lender.id}` });
    expect(await namespaceOf(borrower)).toBe(await namespaceOf(lender));
  }
});

test('what is not there, or does not run, lends nothing, and nothing is left', async () => {
  const create = (): Promise<Container> =>
    bed.runtime.create(bed.busybox, { ...sleeping, name: 'side', network: 'container:web' });
  await expect(create()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  const web = await bed.runtime.create(bed.busybox, { ...sleeping, name: 'web' });
  await expect(run({ name: 'side', network: 'container:web' })).rejects.toMatchObject({
    code: 'ERR_CONTAINER_NOT_RUNNING',
    message: expect.stringContaining(web.id.slice(0, 12)) as string,
  });
  expect((await bed.runtime.containers({ all: true })).map(({ name }) => name)).toEqual(['web']);
  const side = await create();
  await expect(side.start()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
  await web.start();
  await side.start();
  expect(await namespaceOf(side)).toBe(await namespaceOf(web));
  await web.pause();
  await side.restart({ timeoutMs: 0 });
  await web.unpause();
  expect(await interfaces(side)).toEqual(['eth0', 'lo']);
  await side.stop({ timeoutMs: 0 });
  await web.remove({ force: true });
  await expect(side.start()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
  expect((await side.inspect()).status).toBe('exited');
});

test('a lender that is started again has the same network; one that ends takes its interfaces along', async () => {
  const web = await run({ name: 'web', detached: true, restart: 'always' });
  const side = await run({ name: 'side', detached: true, restart: 'always', network: 'container:web' });
  const network = await namespaceOf(web);
  // Both are killed, and come back, in whatever order.
  for (let round = 0; round < 3; round++) {
    const before = await Promise.all([web.inspect(), side.inspect()]);
    before.forEach(({ pid }) => process.kill(pid!, 'SIGKILL'));
    for (const [index, container] of [web, side].entries()) {
      await until(`${container.name} runs again`, async () => {
        const { status, pid } = await container.inspect();
        return status === 'running' && pid !== before[index]?.pid;
      });
    }
    expect([await namespaceOf(web), await namespaceOf(side)]).toEqual([network, network]);
  }
  await web.stop({ timeoutMs: 0 });
  await until('its links are gone', async () => (await interfaces(side)).join() === 'lo');
  expect((await side.inspect()).status).toBe('running');
  await web.start();
  expect(await interfaces(side)).toEqual(['lo']);
  await side.restart({ timeoutMs: 0 });
  expect(await namespaceOf(side)).toBe(await namespaceOf(web));
  expect(await interfaces(side)).toEqual(['eth0', 'lo']);
  // After a power cut the lender is started first.
  for (const container of [side, web]) {
    process.kill(supervisorOf(container), 'SIGKILL');
    await container.wait();
  }
  const { started, failed } = await bed.newRuntime().restore();
  expect([started.map(({ name }) => name), failed]).toEqual([['web', 'side'], []]);
  expect(await interfaces(side)).toEqual(['eth0', 'lo']);
  // A lender whose supervisor is killed leaves its link in the kernel, since somebody has the namespace: until it is removed.
  process.kill(supervisorOf(web), 'SIGKILL');
  await web.wait();
  await web.remove({ force: true });
  expect(linkNames().filter((name) => name.includes(web.id.slice(0, 12)))).toEqual([]);
  expect(await interfaces(side)).toEqual(['lo']);
  await side.remove({ force: true });
});

test('one that waits for a supervisor that does not answer can be stopped, and its own supervisor goes on', async () => {
  const web = await run({ name: 'web' });
  const side = await bed.runtime.create(bed.busybox, { ...sleeping, network: 'container:web' });
  const supervisor = supervisorOf(web);
  process.kill(supervisor, 'SIGSTOP');
  try {
    const started = side.start().then(
      () => 'started',
      (error: { code: string }) => error.code,
    );
    const other = await bed.newRuntime().container(side.id);
    await until('it is being started', async () => {
      // Only one that is being started refuses a signal with these words.
      const refusal = await other.kill('SIGTERM').catch((error: Error) => error.message);
      return typeof refusal === 'string' && refusal.includes('just being started');
    });
    await side.stop({ timeoutMs: 0 });
    expect(await started).toBe('ERR_CONTAINER_NOT_RUNNING');
    expect((await side.inspect()).status).toBe('created');
  } finally {
    process.kill(supervisor, 'SIGCONT');
  }
  await side.start();
  expect(await namespaceOf(side)).toBe(await namespaceOf(web));
});
