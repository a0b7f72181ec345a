import { isIPv6 } from 'node:net';

import { address6Of, chooseSubnet6, gateway6Of } from '../../../lib/network/ipv6';

test.each([
  ['0123456789abcdef0123', 'fd01:2345:6789:abcd::/64'],
  ['00000000000000000000', 'fd00:1:1:1::/64'],
  ['ff0a00b000c00000ffff', 'fdff:a00:b000:c000::/64'],
])('a network of id %s… has %s', (id, subnet6) => {
  expect(chooseSubnet6(id)).toBe(subnet6);
  expect(isIPv6(subnet6.replace('/64', ''))).toBe(true);
});

test('the bridge is the first of it, and containers are where their IPv4 address says', () => {
  const subnet6 = 'fd12:3456:789a:1::/64';
  expect(gateway6Of(subnet6)).toBe('fd12:3456:789a:1::1');
  expect(address6Of(subnet6, '10.128.1.5')).toBe('fd12:3456:789a:1::a80:105');
  expect(address6Of(subnet6, '10.1.0.0')).toBe('fd12:3456:789a:1::a01:0');
  expect(address6Of(subnet6, '192.168.255.255')).toBe('fd12:3456:789a:1::c0a8:ffff');
});
