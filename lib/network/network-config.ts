import type { BridgeSection } from '../oci/spec-types';
import { macOf } from './addresses';
import type { BridgeNetwork } from './bridge-network';
import { formatSubnet } from './ipv4';
import { publishExposed, type PublishedPort } from './ports';

export interface BridgeSectionOptions {
  network: BridgeNetwork;
  /** The claimed address, without prefix length. */
  address: string;
  ports: readonly PublishedPort[];
  /** The image's, published too when `publishAll`. */
  exposedPorts?: readonly string[];
  publishAll?: boolean;
}

/** The `network` section of a container on a bridge, as the supervisor reads it. */
export function bridgeSection(options: BridgeSectionOptions): BridgeSection {
  const { network, address, ports, exposedPorts = [], publishAll = false } = options;
  return {
    mode: 'bridge',
    bridge: network.bridge,
    lock: network.lock,
    subnet: formatSubnet(network.subnet),
    gateway: network.gateway,
    address: `${address}/${network.subnet.prefix}`,
    mac: macOf(address),
    ports: [...ports, ...(publishAll ? publishExposed(exposedPorts, ports) : [])],
  };
}
