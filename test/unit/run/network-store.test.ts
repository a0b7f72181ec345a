import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { formatSubnet, parseSubnet } from '../../../lib/network/ipv4';
import { networkPlaces, type NetworkRecord, writeNetworkRecord } from '../../../lib/network/network-record';
import type { Route } from '../../../lib/network/pool';
import {
  dropNetwork,
  findNetwork,
  listNetworks,
  type NewNetwork,
  planNetwork,
  readNetwork,
} from '../../../lib/run/network-store';
import { StorePaths } from '../../../lib/store/paths';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

let paths: StorePaths;

beforeEach(() => {
  paths = new StorePaths(temporaryFolder('network-store'));
  mkdirSync(paths.temporary);
});

afterEach(() => {
  removeFolder(paths.root);
});

const wanted: NewNetwork = { name: 'front', ipv6: false, internal: false, labels: {} };
const subnet = (text: string) => parseSubnet(text)!;
const route = (text: string, by = 'vpn0'): Route => ({ interface: by, subnet: subnet(text) });
const plan = (more: Partial<NewNetwork> = {}, routes: Route[] = []): NetworkRecord =>
  planNetwork(paths, { ...wanted, ...more }, routes);

function make(name: string, more: Partial<NetworkRecord> = {}): NetworkRecord {
  const record = { ...plan({ name }), ...more };
  const places = networkPlaces(paths.network(name));
  mkdirSync(places.addresses, { recursive: true });
  writeNetworkRecord(places.record, record);
  return record;
}

describe('a plan', () => {
  test('has an id, a bridge and a small subnet of its own', () => {
    const { id, bridge, gateway, subnet: chosen } = plan();
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(bridge).toMatch(/^dinghy[0-9a-f]{8}$/);
    expect(formatSubnet(chosen)).toBe(gateway.replace(/\.1$/, '.0/24'));
    const second = plan();
    expect([second.id, second.bridge]).not.toEqual([id, bridge]);
    expect(plan({ subnet: subnet('10.1.2.0/28'), gateway: '10.1.2.9', mtu: 1400 })).toMatchObject({
      gateway: '10.1.2.9',
      mtu: 1400,
    });
  });

  test('avoids the networks there are and the routes of the host, or refuses, saying what is in the way', () => {
    const there = make('one', { subnet: subnet('10.130.7.0/24') });
    const inUse = { code: 'ERR_SUBNET_IN_USE', details: { subnet: '10.130.0.0/16' } };
    expect(() => plan({ subnet: subnet('10.130.0.0/16') })).toThrow(
      expect.objectContaining({ ...inUse, message: expect.stringContaining('network one') as string }),
    );
    expect(() => plan({ subnet: subnet('10.131.3.0/24') }, [route('10.131.0.0/16')])).toThrow(
      expect.objectContaining({
        message: expect.stringContaining("the host's route to 10.131.0.0/16 by vpn0") as string,
      }),
    );
    // A network's own bridge is a route of the host while somebody is on it: told as what it is.
    expect(() => plan({ subnet: there.subnet }, [route('10.130.7.0/24', there.bridge)])).toThrow(/network one/);
    const halves = [route('10.128.0.0/10'), route('10.192.0.0/11'), route('10.224.0.0/11', 'eth0')];
    expect(() => plan({}, halves)).toThrow(expect.objectContaining({ code: 'ERR_HOST_UNSUPPORTED' }));
    expect(formatSubnet(plan({}, [...halves.slice(0, 2), route('10.224.0.0/12')]).subnet)).toMatch(/^10\.2[45]\d\./);
  });
});

test('a network is found by its name, its id, or the start of one', () => {
  const one = make('one', { id: 'ab'.repeat(32) });
  make('two', { id: 'ac'.repeat(32) });
  // A name goes before an id.
  make('ac', { id: 'ef'.repeat(32) });
  expect(findNetwork(paths, 'one')).toMatchObject({ name: 'one', names: join(paths.network('one'), 'names') });
  expect(findNetwork(paths, one.id).name).toBe('one');
  expect(findNetwork(paths, 'aba').name).toBe('one');
  expect(findNetwork(paths, 'ac').name).toBe('ac');
  expect(() => findNetwork(paths, 'a')).toThrow(expect.objectContaining({ code: 'ERR_AMBIGUOUS_ID' }));
  for (const missing of ['three', 'abc', 'ff']) {
    expect(() => findNetwork(paths, missing)).toThrow(expect.objectContaining({ code: 'ERR_NETWORK_NOT_FOUND' }));
  }
  expect(listNetworks(paths).map(({ name }) => name)).toEqual(['ac', 'one', 'two']);
});

test('one that somebody is on is not dropped; one that is dropped is gone, also when that had been cut short', () => {
  make('one');
  const { addresses } = networkPlaces(paths.network('one'));
  writeFileSync(join(addresses, '10.1.1.2'), 'x');
  expect(dropNetwork(paths, 'one')).toBe(false);
  expect(readNetwork(paths, 'one')).toBeDefined();
  rmSync(join(addresses, '10.1.1.2'));
  expect(dropNetwork(paths, 'one')).toBe(true);
  make('half');
  rmSync(networkPlaces(paths.network('half')).addresses, { recursive: true });
  // Nobody can join it: it is not there.
  expect(readNetwork(paths, 'half')).toBeUndefined();
  expect(listNetworks(paths)).toEqual([]);
  expect(dropNetwork(paths, 'half')).toBe(true);
  expect([readdirSync(paths.networks), readdirSync(paths.temporary)]).toEqual([[], []]);
});

test('a record that is no network says where it lies, and what is older is read as it was', () => {
  make('bad');
  const file = networkPlaces(paths.network('bad')).record;
  for (const content of ['', '{}', '{"bridge":"dinghy1","subnet":"10.1.1.1/24","gateway":"10.1.1.1"}', '[]']) {
    writeFileSync(file, content);
    expect(() => readNetwork(paths, 'bad')).toThrow(
      expect.objectContaining({ code: 'ERR_STORE', details: { path: file } }),
    );
  }
  writeFileSync(file, '{"version":1,"bridge":"dinghy1","subnet":"10.1.1.0/24","gateway":"10.1.1.1"}');
  expect(readNetwork(paths, 'bad')).toMatchObject({
    internal: false,
    labels: {},
    id: expect.stringMatching(/^\w{64}$/) as string,
  });
  expect(existsSync(file)).toBe(true);
});
