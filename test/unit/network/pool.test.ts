import { formatSubnet, parseSubnet } from '../../../lib/network/ipv4';
import {
  chooseSmallSubnet,
  chooseSubnet,
  gatewayOf,
  parseRoutes,
  type Route,
  readRoutes,
} from '../../../lib/network/pool';

const table = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
wg0\t0100000A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
`;

const route = (text: string): Route => ({ interface: 'vpn', subnet: parseSubnet(text)! });

test('parseRoutes reads the kernel table and leaves out default routes', () => {
  expect(parseRoutes(table).map((entry) => [entry.interface, formatSubnet(entry.subnet)])).toEqual([
    ['eth0', '192.0.2.0/24'],
    ['docker0', '172.17.0.0/16'],
    ['wg0', '10.0.0.1/32'],
  ]);
  expect(parseRoutes('')).toEqual([]);
});

test('readRoutes reads this host, and finds nothing where there is no table', () => {
  expect(Array.isArray(readRoutes())).toBe(true);
  expect(readRoutes('/proc/net/no-such-table')).toEqual([]);
});

describe('chooseSubnet', () => {
  it('takes a /16 of 10.128.0.0/9, the same for the same seed, usually another for another', () => {
    const chosen = ['a', 'b', 'c', 'd'].map((seed) => formatSubnet(chooseSubnet([], seed)));
    expect(formatSubnet(chooseSubnet([], 'a'))).toBe(chosen[0]);
    expect(new Set(chosen).size).toBeGreaterThan(2);
    for (const subnet of chosen) {
      expect(subnet).toMatch(/^10\.(12[89]|1[3-9]\d|2\d\d)\.0\.0\/16$/);
    }
  });

  it('goes on to the next where a route is in the way, wide or narrow', () => {
    const first = chooseSubnet([], 'a');
    const next = chooseSubnet([{ interface: 'x', subnet: { base: first.base + 77, prefix: 32 } }], 'a');
    expect(next).not.toEqual(first);
    expect(formatSubnet(chooseSubnet([route('10.0.0.0/8')], 'a'))).toBe('172.16.0.0/16');
    expect(formatSubnet(chooseSubnet([route('10.0.0.0/8'), route('172.16.0.0/15')], 'a'))).toBe('172.18.0.0/16');
  });

  it('refuses when nothing is left', () => {
    const all = ['10.0.0.0/8', '172.16.0.0/12', '192.168.5.0/24'].map(route);
    expect(() => chooseSubnet(all, 'a')).toThrow(
      expect.objectContaining({ code: 'ERR_HOST_UNSUPPORTED', step: 'bridge' }),
    );
  });
});

test('the gateway is the first address', () => {
  expect(gatewayOf(parseSubnet('10.200.0.0/16')!)).toBe('10.200.0.1');
});

describe('chooseSmallSubnet', () => {
  const choose = (taken: string[], seed = 'a') =>
    formatSubnet(
      chooseSmallSubnet(
        taken.map((text) => parseSubnet(text)!),
        seed,
      ),
    );

  it('takes a /24 of 10.128.0.0/9 that overlaps nothing', () => {
    const first = choose([]);
    expect(first).toMatch(/^10\.(1(2[89]|[3-9]\d)|2\d\d)\.\d+\.0\/24$/);
    const second = choose([first, '192.168.0.0/16']);
    expect(second).not.toBe(first);
    expect(choose([first, second])).not.toBe(second);
    expect(
      choose([
        '10.128.0.0/10',
        '10.192.0.0/11',
        '10.224.0.0/12',
        '10.240.0.0/13',
        '10.248.0.0/14',
        '10.252.0.0/15',
        '10.254.0.0/16',
        '10.255.0.0/17',
        '10.255.128.0/18',
        '10.255.192.0/19',
        '10.255.224.0/20',
        '10.255.240.0/21',
        '10.255.248.0/22',
        '10.255.252.0/23',
        '10.255.254.0/24',
      ]),
    ).toBe('10.255.255.0/24');
  });

  it('says so when none is left', () => {
    expect(() => choose(['10.0.0.0/8'])).toThrow(expect.objectContaining({ code: 'ERR_HOST_UNSUPPORTED' }));
  });
});
