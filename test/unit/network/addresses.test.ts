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

describe('a given address', () => {
  const claimGiven = (containerId: string, address: string) =>
    claimAddress({ ...base(containerId), address, hasVanished: () => false });
  const base = (containerId: string) => ({
    folder,
    subnet: subnet('10.200.0.0/24'),
    gateway: '10.200.0.9',
    containerId,
  });

  test('is claimed, once', () => {
    expect(claimGiven(id('a'), '10.200.0.77').path).toBe(join(folder, '10.200.0.77'));
    expect(() => claimGiven(id('b'), '10.200.0.77')).toThrow(
      expect.objectContaining({
        code: 'ERR_ADDRESS_IN_USE',
        message: expect.stringContaining('aaaaaaaaaaaa'),
        details: { address: '10.200.0.77', container: id('a') },
      }),
    );
  });

  test.each(['10.200.0.0', '10.200.0.255', '10.200.0.9', '10.200.1.1', '10.199.0.7', '1.2.3', ''])(
    'is refused where it cannot be one: %j',
    (address) => {
      expect(() => claimGiven(id('a'), address)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
      expect(readdirSync(folder)).toEqual([]);
    },
  );
});

test('a folder that is gone is told as such', () => {
  rmSync(folder, { recursive: true });
  expect(() => claim(id('a'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

test('the hardware address carries the IPv4 one and is locally administered unicast', () => {
  expect(macOf('10.200.0.2')).toBe('02:d1:0a:c8:00:02');
  expect(macOf('192.168.255.1')).toBe('02:d1:c0:a8:ff:01');
});
