import { containerHostname, makeHosts } from '../../../lib/run/etc-files';
import { settleOptions } from '../../../lib/run/settle-options';

const endpoint = {
  network: 'bridge',
  number: 0,
  bridge: 'dinghy0',
  lock: '/l',
  subnet: '10.9.0.0/16',
  gateway: '10.9.0.1',
  address: '10.9.0.7/16',
  mac: '02:00:00:00:00:01',
  defaultRoute: true,
  aliases: [],
  claims: [],
};
const bridge = { mode: 'bridge' as const, endpoints: [endpoint], ports: [] };

test('hosts names the container, the host, and what was asked for', () => {
  const settings = settleOptions({ extraHosts: { db: '192.0.2.1', host: 'host-gateway' } });
  const hosts = makeHosts(settings, 'boat', bridge);
  expect(hosts).toContain('127.0.0.1\tlocalhost\n');
  expect(hosts).toContain('10.9.0.7\tboat\n');
  expect(hosts).toContain('10.9.0.1\thost.dinghy.internal host.docker.internal\n');
  expect(hosts).toContain('192.0.2.1\tdb\n');
  expect(hosts).toContain('10.9.0.1\thost\n');
});

test('on several networks the host name has each address, and the host is where the default route leads', () => {
  const inner = { ...endpoint, number: 0, address: '10.8.0.2/24', gateway: '10.8.0.1', defaultRoute: false };
  const hosts = makeHosts(settleOptions({}), 'boat', { ...bridge, endpoints: [inner, endpoint] });
  expect(hosts).toContain('10.8.0.2\tboat\n10.9.0.7\tboat\n');
  expect(hosts).toContain('10.9.0.1\thost.dinghy.internal host.docker.internal\n');
  expect(makeHosts(settleOptions({}), 'boat', { ...bridge, endpoints: [inner] })).toContain('10.8.0.1\thost.dinghy');
});

test("in the host's network the host is where the container is; without a network there is none", () => {
  expect(makeHosts(settleOptions({ network: 'host' }), 'boat', { mode: 'host' })).toContain(
    '127.0.0.1\thost.dinghy.internal host.docker.internal\n',
  );
  expect(makeHosts(settleOptions({ network: 'none' }), 'boat', { mode: 'none' })).not.toContain('internal');
});

test('the host name is the short id, unless given', () => {
  const id = '0123456789abcdef'.repeat(4);
  expect(containerHostname(id, settleOptions({}))).toBe('0123456789ab');
  expect(containerHostname(id, settleOptions({ hostname: 'boat' }))).toBe('boat');
});
