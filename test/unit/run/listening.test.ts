import { hasListener, parsePortNumber } from '../../../lib/run/listening';
import { findBinding, publishedPort, reachableHost } from '../../../lib/run/ports';

// Of a real /proc/net/tcp: port 80 (0050) listens, 8080 (1F90) is a connection.
const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0000000000000000 20 4 30 10 -1
`;

test('only a listening socket of that port counts', () => {
  expect(hasListener(table, 80, '0A')).toBe(true);
  expect(hasListener(table, 8080, '0A')).toBe(false);
  expect(hasListener(table, 50, '0A')).toBe(false);
  expect(hasListener('', 80, '0A')).toBe(false);
});

test('port numbers', () => {
  expect(parsePortNumber('port', 80)).toEqual({ port: 80, protocol: 'tcp' });
  expect(parsePortNumber('port', '53/udp')).toEqual({ port: 53, protocol: 'udp' });
  for (const bad of [0, 65536, '80/sctp', 'http', 1.5, null]) {
    expect(() => parsePortNumber('port', bad)).toThrow(/port/);
  }
});

test('the published address: IPv4 before IPv6, and one that can be connected to', () => {
  const both = ['::', '0.0.0.0'].map((hostAddress) => ({
    hostAddress,
    hostPort: 8001,
    containerPort: 80,
    protocol: 'tcp' as const,
  }));
  expect(findBinding(both, { port: 80, protocol: 'tcp' })?.hostAddress).toBe('0.0.0.0');
  expect(reachableHost({ hostAddress: '0.0.0.0' })).toBe('127.0.0.1');
  expect(reachableHost({ hostAddress: '::' })).toBe('::1');
  expect(reachableHost({ hostAddress: '192.0.2.7' })).toBe('192.0.2.7');
  expect(publishedPort('web', both, 80)).toMatchObject({ hostAddress: '127.0.0.1', hostPort: 8001 });
  expect(() => publishedPort('web', both, '80/udp')).toThrow(/does not publish 80\/udp, only 80\/tcp/);
});
