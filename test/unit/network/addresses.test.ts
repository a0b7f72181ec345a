import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { claimAddress, macOf } from '../../../lib/network/addresses';
import { parseSubnet } from '../../../lib/network/ipv4';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), `dinghy-addresses-${process.pid}-`));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const id = (digit: string) => digit.repeat(64);
const subnet = (text: string) => parseSubnet(text)!;

function claim(containerId: string, text = '10.200.0.0/16', hasVanished: (id: string) => boolean = () => false) {
  return claimAddress({ folder, subnet: subnet(text), gateway: '10.200.0.1', containerId, hasVanished });
}

test('an address is claimed by a file that names the container', () => {
  const { address, path } = claim(id('a'));
  expect(address).toMatch(/^10\.200\.\d+\.\d+$/);
  expect(path).toBe(join(folder, address));
  expect(readFileSync(path, 'utf8')).toBe(id('a'));
});

test('every address but network, gateway and broadcast is given once, then none', () => {
  const given = [...'abcde'].map((digit) => claim(id(digit), '10.200.0.0/29').address);
  expect([...given].sort()).toEqual(['10.200.0.2', '10.200.0.3', '10.200.0.4', '10.200.0.5', '10.200.0.6']);
  expect(() => claim(id('f'), '10.200.0.0/29')).toThrow(expect.objectContaining({ code: 'ERR_NO_SPACE' }));
  rmSync(join(folder, '10.200.0.4'));
  expect(claim(id('f'), '10.200.0.0/29').address).toBe('10.200.0.4');
});

describe('the claim of a container that is gone', () => {
  const makeOld = (path: string) => utimesSync(path, 0, 0);

  test('is taken over', () => {
    const { path } = claim(id('a'), '10.200.0.0/30');
    makeOld(path);
    expect(claim(id('b'), '10.200.0.0/30', (owner) => owner === id('a')).path).toBe(path);
    expect(readFileSync(path, 'utf8')).toBe(id('b'));
    expect(readdirSync(folder)).toEqual(['10.200.0.2']);
  });

  test('stands while it is young: its container may be in the making', () => {
    claim(id('a'), '10.200.0.0/30');
    expect(() => claim(id('b'), '10.200.0.0/30', () => true)).toThrow(/no address is free/);
  });

  test('is put back when another took it over in between', () => {
    const { path } = claim(id('a'), '10.200.0.0/30');
    makeOld(path);
    const interfere = () => {
      rmSync(path);
      writeFileSync(path, id('c'));
      return true;
    };
    expect(() => claim(id('b'), '10.200.0.0/30', interfere)).toThrow(/no address is free/);
    expect(readFileSync(path, 'utf8')).toBe(id('c'));
    expect(readdirSync(folder)).toEqual(['10.200.0.2']);
  });

  test('of a living one stands, however old', () => {
    const { path } = claim(id('a'), '10.200.0.0/30');
    makeOld(path);
    expect(() => claim(id('b'), '10.200.0.0/30')).toThrow(/no address is free/);
    expect(existsSync(path)).toBe(true);
  });
});

test('the hardware address carries the IPv4 one and is locally administered unicast', () => {
  expect(macOf('10.200.0.2')).toBe('02:d1:0a:c8:00:02');
  expect(macOf('192.168.255.1')).toBe('02:d1:c0:a8:ff:01');
});
