import type { EndpointSection } from '../oci/spec-types';
import { macOf } from './addresses';
import type { OpenNetwork } from './bridge-network';
import { formatSubnet } from './ipv4';
import { address6Of, gateway6Of, prefix6 } from './ipv6';

export interface EndpointOptions {
  network: OpenNetwork;
  number: number;
  /** The claimed address, without prefix length. */
  address: string;
  aliases: readonly string[];
  defaultRoute: boolean;
  claims: string[];
}

/** An entry of the `endpoints` of a container's network section, as the supervisor reads it. */
export function endpointSection(options: EndpointOptions): EndpointSection {
  const { network, number, address, aliases, defaultRoute, claims } = options;
  const { subnet6 } = network;
  return {
    network: network.name,
    number,
    bridge: network.bridge,
    lock: network.lock,
    subnet: formatSubnet(network.subnet),
    gateway: network.gateway,
    address: `${address}/${network.subnet.prefix}`,
    ...(subnet6 === undefined
      ? {}
      : { gateway6: gateway6Of(subnet6), address6: `${address6Of(subnet6, address)}/${prefix6}` }),
    mac: macOf(address),
    ...(network.mtu === undefined ? {} : { mtu: network.mtu }),
    defaultRoute,
    ...(network.internal ? { internal: true } : {}),
    ...(network.names === undefined ? {} : { names: network.names }),
    aliases: [...aliases],
    claims,
  };
}

const letters = 'y0123456789abcdefghijklmnopqrstuvwxz';

/** A container's interfaces are eth0 and up: so many. */
export const maxInterfaces = letters.length;

/** The host's end of a container's eth<number>, as addon/net/network.h says. */
export function linkName(id: string, number: number): string {
  return `dg${letters[number]}${id.slice(0, 12)}`;
}
