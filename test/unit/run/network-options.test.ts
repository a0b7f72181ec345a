import { settleNetworkOptions } from '../../../lib/run/network-options';

test('defaults: one that ends with its owner, on a subnet that is chosen', () => {
  expect(settleNetworkOptions(undefined)).toEqual({
    ipv6: false,
    internal: false,
    labels: {},
    detached: false,
  });
});

test('a subnet and its gateway', () => {
  const options = { name: 'front', subnet: '172.30.8.0/22', gateway: '172.30.11.254', mtu: 1400, detached: true };
  expect(settleNetworkOptions(options)).toMatchObject({
    name: 'front',
    subnet: { prefix: 22 },
    gateway: '172.30.11.254',
    mtu: 1400,
    detached: true,
  });
});

test.each([
  [{ name: 'a/b' }],
  [{ name: '' }],
  [{ subnet: '10.1.1.1/24' }],
  [{ subnet: '10.1.1.0/31' }],
  [{ subnet: '10.0.0.0/7' }],
  [{ subnet: '127.0.0.0/8' }],
  [{ subnet: '224.0.0.0/8' }],
  [{ subnet: '0.0.0.0/8' }],
  [{ subnet: 'fd00::/64' }],
  [{ subnet: '10.1.1.0' }],
  [{ gateway: '10.1.1.1' }],
  [{ subnet: '10.1.1.0/24', gateway: '10.1.2.1' }],
  [{ subnet: '10.1.1.0/24', gateway: '10.1.1.0' }],
  [{ subnet: '10.1.1.0/24', gateway: '10.1.1.255' }],
  [{ mtu: 67 }],
  [{ mtu: 65536 }],
  [{ mtu: '1400' }],
  [{ internal: 'yes' }],
  [{ labels: { a: 1 } }],
  [{ driver: 'overlay' }],
])('refuses %j', (options) => {
  expect(() => settleNetworkOptions(options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
});

test('IPv6 as well, which needs a larger mtu', () => {
  expect(settleNetworkOptions({ ipv6: true, mtu: 1280 })).toMatchObject({ ipv6: true, mtu: 1280 });
  expect(settleNetworkOptions({})).toMatchObject({ ipv6: false });
  expect(() => settleNetworkOptions({ ipv6: true, mtu: 1279 })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringContaining('mtu') as string }),
  );
});
