/** A block of IPv4 addresses. Addresses are unsigned 32-bit numbers here, in the order they are read. */
export interface Subnet {
  base: number;
  prefix: number;
}

/** Dotted decimal with four parts, without leading zeros (which some programs read as octal); undefined for anything else. */
export function parseIpv4(text: string): number | undefined {
  const parts = text.split('.');
  const valid = parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
  return valid ? parts.reduce((sum, part) => sum * 256 + Number(part), 0) : undefined;
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** `10.1.0.0/16`; undefined when it isn't one, or has bits set behind its prefix. */
export function parseSubnet(text: string): Subnet | undefined {
  const [address = '', digits = '', ...rest] = text.split('/');
  const base = parseIpv4(address);
  const prefix = Number(digits);
  if (base === undefined || rest.length > 0 || !/^\d{1,2}$/.test(digits) || prefix > 32) {
    return undefined;
  }
  return (base & maskOf(prefix)) >>> 0 === base ? { base, prefix } : undefined;
}

export function formatSubnet({ base, prefix }: Subnet): string {
  return `${formatIpv4(base)}/${prefix}`;
}

/** How many addresses it has, those included that no host can have. */
export function sizeOf({ prefix }: Subnet): number {
  return 2 ** (32 - prefix);
}

/** Two blocks overlap exactly when the larger one holds the other's first address. */
export function overlaps(one: Subnet, other: Subnet): boolean {
  const mask = maskOf(Math.min(one.prefix, other.prefix));
  return (one.base & mask) === (other.base & mask);
}

function maskOf(prefix: number): number {
  return prefix === 0 ? 0 : -1 << (32 - prefix);
}
