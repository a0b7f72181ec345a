import { BlockList, isIP } from 'node:net';

export type AddressKind = 'loopback' | 'private' | 'link-local' | 'unspecified' | 'name' | 'public';

const ranges: [Exclude<AddressKind, 'name' | 'public'>, [string, number, 'ipv4' | 'ipv6'][]][] = [
  [
    'loopback',
    [
      ['127.0.0.0', 8, 'ipv4'],
      ['::1', 128, 'ipv6'],
    ],
  ],
  [
    'unspecified',
    [
      ['0.0.0.0', 8, 'ipv4'],
      ['::', 128, 'ipv6'],
      ['224.0.0.0', 3, 'ipv4'],
      ['ff00::', 8, 'ipv6'],
    ],
  ],
  [
    'link-local',
    [
      ['169.254.0.0', 16, 'ipv4'],
      ['fe80::', 10, 'ipv6'],
    ],
  ],
  [
    'private',
    [
      ['10.0.0.0', 8, 'ipv4'],
      ['172.16.0.0', 12, 'ipv4'],
      ['192.168.0.0', 16, 'ipv4'],
      ['100.64.0.0', 10, 'ipv4'],
      ['fc00::', 7, 'ipv6'],
    ],
  ],
];

const lists = ranges.map(([kind, subnets]) => {
  const list = new BlockList();
  for (const [address, prefix, family] of subnets) {
    list.addSubnet(address, prefix, family);
  }
  return [kind, list] as const;
});

/**
 * What kind of address a URL's host is written as. Only literals are told apart: a name is resolved later, by the connection.
 * IPv6 forms that carry an IPv4 address (mapped, NAT64, 6to4) are what they carry.
 */
export function addressKind(hostname: string): AddressKind {
  const host = hostname
    .replace(/^\[|\]$/g, '')
    .replace(/%.*$/, '')
    .toLowerCase();
  if (host === 'localhost' || host.endsWith('.localhost')) {
    return 'loopback'; // RFC 6761, 6.3
  }
  const version = isIP(host);
  if (version === 0) {
    return 'name';
  }
  const inner = version === 6 ? embeddedIpv4(host) : undefined;
  if (inner !== undefined) {
    return addressKind(inner);
  }
  const family = version === 4 ? 'ipv4' : 'ipv6';
  return lists.find(([, list]) => list.check(host, family))?.[0] ?? 'public';
}

export function isLoopback(hostname: string): boolean {
  return addressKind(hostname) === 'loopback';
}

function embeddedIpv4(host: string): string | undefined {
  const words = expand(host);
  const low = (): string => dotted(words[6]!, words[7]!);
  const zeros = (count: number): boolean => words.slice(0, count).every((word) => word === 0);
  if (zeros(5) && words[5] === 0xffff) {
    return low(); // ::ffff:a.b.c.d
  }
  if (words[0] === 0x64 && words[1] === 0xff9b && words.slice(2, 6).every((word) => word === 0)) {
    return low(); // 64:ff9b::/96, RFC 6052
  }
  if (words[0] === 0x2002) {
    return dotted(words[1]!, words[2]!); // 2002::/16, RFC 3056
  }
  return zeros(6) && words[6] !== 0 ? low() : undefined; // ::a.b.c.d, RFC 4291 2.5.5.1
}

/** The eight 16-bit words of a valid IPv6 literal. */
function expand(host: string): number[] {
  const plain = host.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a: string, b: string, c: string, d: string) => {
    return `${((Number(a) << 8) | Number(b)).toString(16)}:${((Number(c) << 8) | Number(d)).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const gap = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(gap).fill('0'), ...right].map((word) => parseInt(word, 16));
}

function dotted(high: number, low: number): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
