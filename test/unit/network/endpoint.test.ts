import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { endpointSection, linkName, maxInterfaces } from '../../../lib/network/endpoint';
import { parseSubnet } from '../../../lib/network/ipv4';

const network = {
  name: 'front',
  id: 'f'.repeat(64),
  created: '2026-01-01T00:00:00.000Z',
  bridge: 'dinghy12345678',
  subnet: parseSubnet('10.200.1.0/24')!,
  gateway: '10.200.1.1',
  internal: false,
  labels: {},
  lock: '/n/front/lock',
  addresses: '/n/front/addresses',
  names: '/n/front/names',
};
const place = { number: 1, address: '10.200.1.9', aliases: ['web'], defaultRoute: true, claims: ['/c'] };

test('an endpoint is all that the supervisor needs', () => {
  expect(endpointSection({ network, ...place })).toEqual({
    network: 'front',
    number: 1,
    bridge: 'dinghy12345678',
    lock: '/n/front/lock',
    subnet: '10.200.1.0/24',
    gateway: '10.200.1.1',
    address: '10.200.1.9/24',
    mac: '02:d1:0a:c8:01:09',
    defaultRoute: true,
    names: '/n/front/names',
    aliases: ['web'],
    claims: ['/c'],
  });
  const inner = endpointSection({ network: { ...network, internal: true, mtu: 1400 }, ...place });
  expect(inner).toMatchObject({ internal: true, mtu: 1400 });
  const both = endpointSection({ network: { ...network, subnet6: 'fd12:3456:789a:1::/64' }, ...place });
  expect(both).toMatchObject({ gateway6: 'fd12:3456:789a:1::1', address6: 'fd12:3456:789a:1::ac8:109/64' });
});

test('every interface has a link of its own, named as the supervisor names it', () => {
  const id = '0123456789abcdef'.repeat(4);
  const names = Array.from({ length: maxInterfaces }, (_unused, number) => linkName(id, number));
  expect(names.slice(0, 3)).toEqual(['dgy0123456789ab', 'dg00123456789ab', 'dg10123456789ab']);
  expect(new Set(names).size).toBe(36);
  const letters = names.map((name) => name[2]).join('');
  const addon = join(__dirname, '../../../addon/net');
  expect(readFileSync(join(addon, 'attach.cc'), 'utf8')).toContain(`kLetters = "${letters}"`);
  expect(readFileSync(join(addon, 'network.h'), 'utf8')).toContain(`kMaxInterfaces = ${maxInterfaces};`);
});
