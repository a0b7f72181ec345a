import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { DinghyError } from '../errors';
import { formatIpv4, formatSubnet, overlaps, type Subnet } from './ipv4';

/** An entry of the host's routing table. */
export interface Route {
  interface: string;
  subnet: Subnet;
}

/**
 * The host's IPv4 routes, the default ones left out: they cover everything and collide with nothing.
 * An empty list where the host shows none.
 */
export function readRoutes(path = '/proc/net/route'): Route[] {
  try {
    return parseRoutes(readFileSync(path, 'latin1'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return [];
    }
    throw error;
  }
}

/**
 * The content of /proc/net/route. Its addresses are 32-bit numbers in hexadecimal whose bytes the kernel left in network order:
 * on the little-endian machines that we run on they stand backwards.
 */
export function parseRoutes(table: string): Route[] {
  const routes = table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length >= 8)
    .map((fields) => ({
      interface: fields[0] ?? '',
      subnet: { base: backwards(fields[1] ?? ''), prefix: prefixOf(backwards(fields[7] ?? '')) },
    }));
  return routes.filter(({ subnet }) => subnet.prefix > 0);
}

function backwards(hex: string): number {
  return Buffer.from(hex, 'hex').readUInt32LE();
}

function prefixOf(mask: number): number {
  return Math.clz32(~mask);
}

// 10.128 to 10.255: the upper half, since people number their offices, clouds and VPNs from 10.0 upwards, and Podman has 10.88. Then Docker's
// range, and only then the homes' one.
const candidates: readonly Subnet[] = [
  ...Array.from({ length: 128 }, (_, index) => block(10, 128 + index)),
  ...Array.from({ length: 16 }, (_, index) => block(172, 16 + index)),
  block(192, 168),
];

function block(first: number, second: number): Subnet {
  return { base: first * 2 ** 24 + second * 2 ** 16, prefix: 16 };
}

/**
 * A /16 that no route of the host overlaps. Where the search begins depends on `seed`, so that two data folders which look at the same
 * moment hardly choose the same.
 *
 * @throws ERR_HOST_UNSUPPORTED when every candidate collides
 */
export function chooseSubnet(routes: readonly Route[], seed: string): Subnet {
  const start = createHash('sha256').update(seed).digest().readUInt32BE() % 128;
  const order = [...candidates.slice(start, 128), ...candidates.slice(0, start), ...candidates.slice(128)];
  const free = order.find((candidate) => !routes.some(({ subnet }) => overlaps(candidate, subnet)));
  if (!free) {
    throw new DinghyError({
      code: 'ERR_HOST_UNSUPPORTED',
      message:
        "no address range is left for the network 'bridge': the host's routes cover 10.128.0.0/9, 172.16.0.0/12 and " +
        "192.168.0.0/16; give network 'none' or 'host', or narrow a route",
      step: 'bridge',
    });
  }
  return free;
}

const smallPrefix = 24;
const smallPool: Subnet = { base: 10 * 2 ** 24 + 128 * 2 ** 16, prefix: 9 };

/**
 * A /24 of 10.128.0.0/9 that overlaps nothing of `taken`: the small subnet of one network. Where the search begins depends on `seed`.
 *
 * @throws ERR_HOST_UNSUPPORTED when all are taken
 */
export function chooseSmallSubnet(taken: readonly Subnet[], seed: string): Subnet {
  const size = 2 ** (32 - smallPrefix);
  const count = 2 ** (smallPrefix - smallPool.prefix);
  const start = createHash('sha256').update(seed).digest().readUInt32BE() % count;
  const nearby = taken.filter((subnet) => overlaps(subnet, smallPool));
  for (let step = 0; step < count; step++) {
    const subnet = { base: smallPool.base + ((start + step) % count) * size, prefix: smallPrefix };
    if (!nearby.some((each) => overlaps(each, subnet))) {
      return subnet;
    }
  }
  throw new DinghyError({
    code: 'ERR_HOST_UNSUPPORTED',
    message: `no subnet is left for a network: ${formatSubnet(smallPool)} is in use; give \`subnet\`, or remove networks`,
    step: 'bridge',
  });
}

/** The bridge's own address: the first of the block. */
export function gatewayOf({ base }: Subnet): string {
  return formatIpv4(base + 1);
}
