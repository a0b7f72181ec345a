import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';

import { DinghyError } from '../errors';
import { overlaps, type Subnet } from './ipv4';
import {
  networkPlaces,
  type NetworkRecord,
  newNetworkId,
  readNetworkRecord,
  writeNetworkRecord,
} from './network-record';
import { chooseSubnet, gatewayOf, readRoutes, type Route } from './pool';

/** The name of the network that a container is on when nothing is said. */
export const defaultNetwork = 'bridge';

/** A network that a container may join. */
export interface OpenNetwork extends NetworkRecord {
  /** Locked by supervisors while they change the bridge. */
  lock: string;
  /** One file for each claimed address. */
  addresses: string;
  /** One file for each address that answers to names; absent on the default network, where none do. */
  names?: string;
}

export interface OpenNetworkOptions {
  /** `networks/bridge` of the data folder. Made if need be. */
  folder: string;
  bridge: string;
  /** The host's, unless a test says otherwise. */
  routes?: readonly Route[];
  /** Subnets of the other networks of this data folder; asked for when one is to be chosen. */
  others?: () => readonly Subnet[];
}

/**
 * `dinghy0` for the default data folder. Another one has its own bridge and subnet, because addresses are claimed in the data folder: two
 * folders on one bridge would give the same address twice.
 */
export function bridgeName(root: string): string {
  return root === '/var/lib/dinghy'
    ? 'dinghy0'
    : `dinghy${createHash('sha256').update(root).digest('hex').slice(0, 8)}`;
}

/**
 * The default network, its subnet chosen when it is first asked for, and again when the host has meanwhile got a route
 * that collides with it and nobody uses it.
 *
 * @throws ERR_HOST_UNSUPPORTED when no subnet is free · ERR_STORE when network.json is not what it should be
 */
export function openBridgeNetwork(options: OpenNetworkOptions): OpenNetwork {
  const { folder, bridge, others = () => [] } = options;
  const { record: file, addresses, lock } = networkPlaces(folder);
  mkdirSync(addresses, { recursive: true, mode: 0o700 });
  let record = readNetworkRecord(file);
  if (record?.bridge !== bridge || (collides(record, options) && readdirSync(addresses).length === 0)) {
    const taken = others().map((subnet) => ({ interface: '', subnet }));
    const subnet = chooseSubnet([...routesOf(options), ...taken], folder);
    const { id, created } = record ?? { id: newNetworkId(), created: new Date().toISOString() };
    const made = { name: defaultNetwork, id, created, bridge, subnet, gateway: gatewayOf(subnet) };
    writeNetworkRecord(file, { ...made, internal: false, labels: {} }, { replace: record !== undefined });
    record = readNetworkRecord(file);
  }
  if (!record) {
    throw new DinghyError({ code: 'ERR_STORE', message: `cannot read ${file}: it vanished while it was made` });
  }
  return { ...record, lock, addresses };
}

function routesOf({ routes, bridge }: OpenNetworkOptions): Route[] {
  return (routes ?? readRoutes()).filter((route) => route.interface !== bridge);
}

function collides(record: NetworkRecord, options: OpenNetworkOptions): boolean {
  return routesOf(options).some(({ subnet }) => overlaps(subnet, record.subnet));
}
