import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { formatSubnet, parseIpv4 } from '../../../lib/network/ipv4';
import { openBridgeNetwork } from '../../../lib/network/bridge-network';
import { parsePorts } from '../../../lib/network/ports';
import { reserveOnBridge } from '../../../lib/network/reserve';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), `dinghy-reserve-${process.pid}-`));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const reserve = (containerId: string) =>
  reserveOnBridge({
    folder,
    bridge: 'dinghy0',
    routes: [],
    containerId,
    hasVanished: () => false,
    ports: parsePorts(['8001:80']),
    exposedPorts: ['80/tcp', '443/tcp'],
    publishAll: true,
  });

test('a place on the bridge is the whole section, a file to release, and a way back', () => {
  const { section, release, undo } = reserve('a'.repeat(64));
  const network = openBridgeNetwork({ folder, bridge: 'dinghy0', routes: [] });
  expect(section).toMatchObject({
    mode: 'bridge',
    bridge: 'dinghy0',
    lock: join(folder, 'lock'),
    subnet: formatSubnet(network.subnet),
    gateway: network.gateway,
    mac: expect.stringMatching(/^02:d1(:[0-9a-f]{2}){4}$/),
    ports: [
      { hostAddress: '', hostPort: 8001, containerPort: 80, protocol: 'tcp' },
      { hostAddress: '', hostPort: 0, containerPort: 443, protocol: 'tcp' },
    ],
  });
  const [address = '', prefix] = section.address.split('/');
  expect(prefix).toBe('16');
  expect(parseIpv4(address)).toBeGreaterThan(network.subnet.base + 1);
  expect(release).toEqual([join(network.addresses, address)]);
  expect(readFileSync(release[0] ?? '', 'utf8')).toBe('a'.repeat(64));

  undo();
  expect(existsSync(release[0] ?? '')).toBe(false);
  undo();
});

test('two containers get two addresses', () => {
  expect(reserve('a'.repeat(64)).section.address).not.toBe(reserve('b'.repeat(64)).section.address);
});
