import { makeResolvConf } from '../../../lib/run/resolv-conf';
import { settleOptions } from '../../../lib/run/settle-options';

const endpoint = {
  network: 'front',
  number: 0,
  bridge: 'dinghy0',
  lock: '/l',
  subnet: '10.9.0.0/24',
  gateway: '10.9.0.1',
  address: '10.9.0.7/24',
  mac: '02:00:00:00:00:01',
  defaultRoute: true,
  aliases: [],
  claims: [],
};
const bridge = { mode: 'bridge' as const, endpoints: [endpoint], ports: [] };
const named = { ...bridge, endpoints: [endpoint, { ...endpoint, number: 1, names: '/n' }] };
const host = '# comment\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nsearch example.org\noptions edns0\nsortlist x\n';

test('servers that the container cannot reach are left out, unless it shares the network', () => {
  expect(makeResolvConf(settleOptions({}), bridge, host)).toBe(
    'nameserver 192.0.2.53\nsearch example.org\noptions edns0\n',
  );
  expect(makeResolvConf(settleOptions({}), { mode: 'host' }, host)).toContain('nameserver 127.0.0.53\n');
  expect(makeResolvConf(settleOptions({ dns: ['192.0.2.9', '2001:db8::9'] }), bridge, host)).toBe(
    'nameserver 192.0.2.9\nnameserver 2001:db8::9\nsearch example.org\noptions edns0\n',
  );
});

test('where there are names, its own resolver is asked, for a name as it is', () => {
  const expected = 'nameserver 127.0.0.11\nsearch example.org\noptions edns0 ndots:0\n';
  expect(makeResolvConf(settleOptions({}), named, host)).toBe(expected);
  expect(makeResolvConf(settleOptions({ dns: ['192.0.2.9'] }), named, host)).toBe(expected);
  expect(makeResolvConf(settleOptions({}), named, 'options ndots:2\n')).toBe(
    'nameserver 127.0.0.11\noptions ndots:2\n',
  );
  expect(makeResolvConf(settleOptions({}), named, '')).toBe('nameserver 127.0.0.11\noptions ndots:0\n');
});

test("search domains and options that were given take the place of the host's", () => {
  const given = { dnsSearch: ['a.test', 'b.test'], dnsOptions: ['timeout:1', 'rotate'] };
  expect(makeResolvConf(settleOptions(given), named, host)).toBe(
    'nameserver 127.0.0.11\nsearch a.test b.test\noptions timeout:1 rotate ndots:0\n',
  );
  expect(makeResolvConf(settleOptions({ dnsSearch: ['.'], dnsOptions: [] }), bridge, host)).toBe(
    'nameserver 192.0.2.53\n',
  );
});
