import { parseIpv4 } from './ipv4';

/** How long the prefix of every subnet is here. */
export const prefix6 = 64;

/**
 * A /64 of the addresses that anybody may take for himself (RFC 4193), which `seed` picks: of 2^56, so that two hardly ever meet.
 *
 * @param seed of the network alone: 64 hexadecimal digits
 */
export function chooseSubnet6(seed: string): string {
  const groups = [`fd${seed.slice(0, 2)}`, seed.slice(2, 6), seed.slice(6, 10), seed.slice(10, 14)];
  // None is 0, so that the zeros which are left out (RFC 5952, 4.2) are those behind them.
  const text = groups.map((group) => (Number.parseInt(group, 16) || 1).toString(16)).join(':');
  return `${text}::/${prefix6}`;
}

/** The bridge's own address. */
export function gateway6Of(subnet6: string): string {
  return `${baseOf(subnet6)}1`;
}

/** The address that goes with an IPv4 address of the same network: nobody else's, because that one is nobody else's. */
export function address6Of(subnet6: string, address: string): string {
  const number = parseIpv4(address) ?? 0;
  const groups = [Math.floor(number / 2 ** 16), number % 2 ** 16];
  return `${baseOf(subnet6)}${groups.map((group) => group.toString(16)).join(':')}`;
}

/** Of `fd12:3456:789a:1::/64` the part before the slash. */
function baseOf(subnet6: string): string {
  return subnet6.replace(/\/.*$/, '');
}
