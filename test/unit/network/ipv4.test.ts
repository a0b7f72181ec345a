import { formatIpv4, formatSubnet, overlaps, parseIpv4, parseSubnet, sizeOf } from '../../../lib/network/ipv4';

test('addresses are read and written as unsigned numbers', () => {
  expect(parseIpv4('10.1.2.3')).toBe(0x0a010203);
  expect(parseIpv4('255.255.255.255')).toBe(0xffffffff);
  expect(formatIpv4(0xffffffff)).toBe('255.255.255.255');
});

test.each(['', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.256', '1.2.3.4 ', '0x1.2.3.4', '1..2.3', '::1'])(
  '%j is no address',
  (text) => {
    expect(parseIpv4(text)).toBeUndefined();
  },
);

test('subnets are read and written', () => {
  expect(parseSubnet('192.168.0.0/16')).toEqual({ base: 0xc0a80000, prefix: 16 });
  expect(parseSubnet('0.0.0.0/0')).toEqual({ base: 0, prefix: 0 });
  expect(formatSubnet({ base: 0xc0a80000, prefix: 16 })).toBe('192.168.0.0/16');
  expect(sizeOf({ base: 0, prefix: 30 })).toBe(4);
});

test.each(['192.168.0.0', '192.168.0.1/16', '192.168.0.0/33', '192.168.0.0/', '192.168.0.0/16/1', '192.168.0.0/-1'])(
  '%j is no subnet',
  (text) => {
    expect(parseSubnet(text)).toBeUndefined();
  },
);

test.each([
  ['10.0.0.0/8', '10.200.0.0/16', true],
  ['10.200.0.0/16', '10.0.0.0/8', true],
  ['10.200.0.0/16', '10.201.0.0/16', false],
  ['192.168.0.0/16', '192.168.255.255/32', true],
  ['0.0.0.0/0', '192.168.0.0/16', true],
  ['128.0.0.0/1', '127.0.0.0/8', false],
])('%s and %s overlap: %s', (one, other, expected) => {
  expect(overlaps(parseSubnet(one)!, parseSubnet(other)!)).toBe(expected);
});
