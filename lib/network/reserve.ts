import { rmSync } from 'node:fs';

import type { BridgeSection } from '../oci/spec-types';
import { claimAddress } from './addresses';
import { openBridgeNetwork, type OpenNetworkOptions } from './bridge-network';
import { bridgeSection, type BridgeSectionOptions } from './network-config';

export interface ReserveOptions extends OpenNetworkOptions, Omit<BridgeSectionOptions, 'network' | 'address'> {
  containerId: string;
  /** True when no container of this id is there any more: its address may be taken over. */
  hasVanished: (containerId: string) => boolean;
}

/** A container's place on a bridge, held by files. */
export interface BridgePlace {
  section: BridgeSection;
  /** Unlinked when the container is removed. */
  release: string[];
  /** The place is free again. */
  undo: () => void;
}

/**
 * The container has an address of its own on the folder's network. Nothing of the kernel's is touched: bridge and links are its
 * supervisor's.
 *
 * @throws ERR_HOST_UNSUPPORTED · ERR_NO_SPACE · ERR_STORE
 */
export function reserveOnBridge(options: ReserveOptions): BridgePlace {
  const network = openBridgeNetwork(options);
  const { subnet, gateway, addresses: folder } = network;
  const { address, path } = claimAddress({ ...options, folder, subnet, gateway });
  return {
    section: bridgeSection({ ...options, network, address }),
    release: [path],
    undo: () => rmSync(path, { force: true }),
  };
}
