import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { bridgeName, openBridgeNetwork } from '../../../lib/network/bridge-network';
import { formatSubnet } from '../../../lib/network/ipv4';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), `dinghy-network-${process.pid}-`));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const open = (routes: Parameters<typeof openBridgeNetwork>[0]['routes'] = []) =>
  openBridgeNetwork({ folder, bridge: 'dinghy0', routes });

test('the default data folder has dinghy0, any other one a name of its own that fits a link', () => {
  expect(bridgeName('/var/lib/dinghy')).toBe('dinghy0');
  expect(bridgeName('/tmp/one')).toMatch(/^dinghy[0-9a-f]{8}$/);
  expect(bridgeName('/tmp/one')).not.toBe(bridgeName('/tmp/two'));
});

test('a network is made once and stays the same', () => {
  const network = open();
  expect(network.lock).toBe(join(folder, 'lock'));
  expect(network.addresses).toBe(join(folder, 'addresses'));
  expect(JSON.parse(readFileSync(join(folder, 'network.json'), 'utf8'))).toEqual({
    version: 1,
    name: 'bridge',
    id: network.id,
    created: network.created,
    internal: false,
    labels: {},
    bridge: 'dinghy0',
    subnet: formatSubnet(network.subnet),
    gateway: network.gateway,
  });
  expect(open()).toEqual(network);
  expect(readdirSync(folder).sort()).toEqual(['addresses', 'network.json']);
});

describe('when the host gets a route that collides', () => {
  const collide = () => [{ interface: 'vpn', subnet: open().subnet }];

  test('an unused network moves', () => {
    const before = open();
    const after = open(collide());
    expect(after.subnet).not.toEqual(before.subnet);
    expect(open()).toEqual(after);
  });

  test('a used one stays', () => {
    const before = open();
    writeFileSync(join(before.addresses, '10.0.0.9'), 'somebody');
    expect(open(collide())).toEqual(before);
  });

  test("the bridge's own route is no collision", () => {
    const before = open();
    expect(open([{ interface: 'dinghy0', subnet: before.subnet }])).toEqual(before);
  });
});

test.each(['', '{}', '{"bridge": "dinghy0", "subnet": "10.0.0.1/8", "gateway": "10.0.0.1"}'])(
  'network.json with %j is refused, naming the file',
  (content) => {
    writeFileSync(join(folder, 'network.json'), content);
    expect(() => open()).toThrow(
      expect.objectContaining({ code: 'ERR_STORE', message: expect.stringContaining(folder) }),
    );
  },
);
