import { DinghyError } from '../../../lib';
import { runCli } from '../../support/cli';

const created = new Date('2026-01-02T03:04:05Z');
const idOf = (name: string): string => (name === 'one' ? 'a' : 'b').repeat(64);

function fakeRuntime(): { calls: unknown[] } {
  const network = (name: string): object => ({
    ...{ name, id: idOf(name), subnet: '10.200.1.0/24' },
    inspect: async () => ({
      ...{ id: idOf(name), name, created, subnet: '10.200.1.0/24', gateway: '10.200.1.1', bridge: 'dinghy1' },
      ...{ internal: false, mtu: 1400, labels: { team: 'blue' }, detached: true },
      containers: [{ id: 'c1', name: 'web', address: '10.200.1.2/24' }],
    }),
    remove: async () => {
      if (name === 'two') throw new DinghyError({ code: 'ERR_NETWORK_IN_USE', message: 'two is used' });
    },
  });
  const calls: unknown[] = [];
  return {
    calls,
    ...{
      createNetwork: async (options: { name?: string }) => {
        calls.push(options);
        return network(options.name ?? 'one');
      },
      networks: async (options: unknown) => {
        calls.push(options);
        return ['one', 'two'].map(network);
      },
      network: async (name: string) => {
        if (!['one', 'two'].includes(name)) {
          throw new DinghyError({ code: 'ERR_NETWORK_NOT_FOUND', message: `there is no network ${name}` });
        }
        return network(name);
      },
    },
  };
}

test('network create prints the id; the network stays', async () => {
  const runtime = fakeRuntime();
  const flags = [
    '--subnet',
    '10.200.1.0/24',
    '--gateway',
    '10.200.1.1',
    '--internal',
    '--label',
    'a=b',
    '-o',
    'mtu=1400',
  ];
  expect(await runCli(['network', 'create', ...flags, 'one'], runtime)).toEqual({
    ...{ status: 0, stderr: '' },
    stdout: `${'a'.repeat(64)}\n`,
  });
  await runCli(['network', 'create', '--opt', 'com.docker.network.driver.mtu=900', '--ipv6'], runtime);
  expect(runtime.calls).toEqual([
    {
      ...{ name: 'one', subnet: '10.200.1.0/24', gateway: '10.200.1.1', internal: true, labels: { a: 'b' }, mtu: 1400 },
      detached: true,
    },
    { labels: {}, mtu: 900, ipv6: true, detached: true },
  ]);
  for (const wrong of [
    ['-d', 'overlay'],
    ['-o', 'icc=false'],
    ['-o', 'mtu=many'],
  ]) {
    expect(await runCli(['network', 'create', ...wrong, 'x'], runtime)).toMatchObject({ status: 1, stdout: '' });
  }
  expect(runtime.calls).toHaveLength(2);
});

test("network ls has Docker's table, filters and templates", async () => {
  const runtime = fakeRuntime();
  const { stdout } = await runCli(['network', 'ls', '-f', 'name=o', '-f', 'dangling=1', '-f', 'label=x'], runtime);
  expect(stdout).toBe(
    `NETWORK ID     NAME      DRIVER    SCOPE\n${'a'.repeat(12)}   one       bridge    local\n${'b'.repeat(12)}   two       bridge    local\n`,
  );
  expect(runtime.calls).toEqual([{ filters: { name: ['o'], label: ['x'], dangling: true } }]);
  expect((await runCli(['network', 'list', '-q', '--no-trunc'], runtime)).stdout).toBe(
    `${idOf('one')}\n${idOf('two')}\n`,
  );
  expect((await runCli(['network', 'ls', '--format', '{{.Name}} {{.Labels}} {{.Internal}}'], runtime)).stdout).toBe(
    'one team=blue false\ntwo team=blue false\n',
  );
  expect((await runCli(['network', 'ls', '-q', '-f', 'driver=overlay'], runtime)).stdout).toBe('');
  expect((await runCli(['network', 'ls', '-f', 'dangling=maybe'], runtime)).status).toBe(1);
});

test("network inspect tells in Docker's words, and of what is missing", async () => {
  const { status, stdout, stderr } = await runCli(['network', 'inspect', 'one', 'nope'], fakeRuntime());
  expect(status).toBe(1);
  expect(stderr).toBe('Error: there is no network nope\n');
  expect(JSON.parse(stdout)).toMatchObject([
    {
      ...{ Name: 'one', Id: 'a'.repeat(64), Created: created.toISOString(), Driver: 'bridge', Internal: false },
      IPAM: { Config: [{ Subnet: '10.200.1.0/24', Gateway: '10.200.1.1' }] },
      Containers: { c1: { Name: 'web', IPv4Address: '10.200.1.2/24' } },
      Options: { 'com.docker.network.driver.mtu': '1400' },
      Labels: { team: 'blue' },
    },
  ]);
  const format = '{{.Name}} {{json .Labels}}';
  expect((await runCli(['network', 'inspect', '-f', format, 'one'], fakeRuntime())).stdout).toBe(
    'one {"team":"blue"}\n',
  );
});

test('network inspect and ls tell of IPv6', async () => {
  const six = { subnet6: 'fd12:3456:789a:1::/64', gateway6: 'fd12:3456:789a:1::1' };
  const details = { name: 'six', id: 'b'.repeat(64), created, subnet: '10.200.2.0/24', labels: {}, containers: [] };
  const network = { name: 'six', id: 'b'.repeat(64), inspect: async () => ({ ...details, ...six }) };
  const runtime = { network: async () => network, networks: async () => [network] };
  const { stdout } = await runCli(['network', 'inspect', 'six'], runtime);
  expect(JSON.parse(stdout)).toMatchObject([
    { EnableIPv6: true, IPAM: { Config: [{}, { Subnet: six.subnet6, Gateway: six.gateway6 }] } },
  ]);
  expect((await runCli(['network', 'ls', '--format', '{{.Name}} {{.IPv6}}'], runtime)).stdout).toBe('six true\n');
});

test('network rm goes on after one that is used; with -f one that is missing is none', async () => {
  expect(await runCli(['network', 'rm', 'two', 'one'], fakeRuntime())).toEqual({
    ...{ status: 1, stdout: 'one\n', stderr: 'Error: two is used\n' },
  });
  expect((await runCli(['network', 'remove', 'nope'], fakeRuntime())).status).toBe(1);
  expect(await runCli(['network', 'rm', '-f', 'nope'], fakeRuntime())).toMatchObject({ status: 0, stdout: 'nope\n' });
});

test('network connect and disconnect; with -f one that is not on it is no failure', async () => {
  const calls: unknown[] = [];
  const network = {
    connect: async (...given: unknown[]) => void calls.push(['connect', ...given]),
    disconnect: async (...given: unknown[]) => void calls.push(['disconnect', ...given]),
    inspect: async () => ({ containers: [{ id: 'id-of-web' }] }),
  };
  const runtime = { network: async () => network, container: async (name: string) => ({ id: `id-of-${name}` }) };
  const flags = ['--alias', 'www', '--alias', 'shop', '--ip', '10.200.1.9'];
  expect(await runCli(['network', 'connect', ...flags, 'one', 'web'], runtime)).toMatchObject({
    status: 0,
    stdout: '',
  });
  await runCli(['network', 'connect', 'one', 'web'], runtime);
  await runCli(['network', 'disconnect', 'one', 'web'], runtime);
  await runCli(['network', 'disconnect', '-f', 'one', 'web'], runtime);
  expect((await runCli(['network', 'disconnect', '-f', 'one', 'other'], runtime)).status).toBe(0);
  expect(calls).toEqual([
    ['connect', 'web', { aliases: ['www', 'shop'], address: '10.200.1.9' }],
    ['connect', 'web', {}],
    ['disconnect', 'id-of-web'],
    ['disconnect', 'id-of-web'],
  ]);
});
