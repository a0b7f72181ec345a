import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { defaultNetwork, type OpenNetwork } from '../network/bridge-network';
import { formatSubnet, overlaps, type Subnet } from '../network/ipv4';
import { chooseSubnet6 } from '../network/ipv6';
import {
  type NetworkPlaces,
  networkPlaces,
  type NetworkRecord,
  newNetworkId,
  readNetworkRecord,
  writeNetworkRecord,
} from '../network/network-record';
import { chooseSmallSubnet, gatewayOf, readRoutes, type Route } from '../network/pool';
import type { StorePaths } from '../store/paths';
import { makeTemporary } from '../store/temporary';

export type NewNetwork = Pick<NetworkRecord, 'name' | 'internal' | 'mtu' | 'labels'> & {
  /** Absent: one is chosen. */
  subnet?: Subnet;
  gateway?: string;
  ipv6: boolean;
};

/** What is in use on this host, by the name that people know it by. */
interface Taken {
  what: string;
  subnet: Subnet;
}

/**
 * The record of a network that is about to be made; for whoever holds the lock of networks.
 *
 * @throws ERR_SUBNET_IN_USE when the given subnet overlaps a network or a route · ERR_HOST_UNSUPPORTED when none is free
 */
export function planNetwork(
  paths: StorePaths,
  wanted: NewNetwork,
  routes: readonly Route[] = readRoutes(),
): NetworkRecord {
  const networks = listNetworks(paths);
  const bridges = new Set(networks.map(({ bridge }) => bridge));
  const taken: Taken[] = [
    ...networks.map(({ name, subnet }) => ({ what: `network ${name}`, subnet })),
    ...routes
      .filter((route) => !bridges.has(route.interface))
      .map((route) => ({
        what: `the host's route to ${formatSubnet(route.subnet)} by ${route.interface}`,
        subnet: route.subnet,
      })),
  ];
  const { name, ipv6, internal, mtu, labels } = wanted;
  const id = newNetworkId();
  const subnet =
    wanted.subnet ??
    chooseSmallSubnet(
      taken.map(({ subnet: each }) => each),
      id,
    );
  const holder = taken.find((each) => overlaps(each.subnet, subnet));
  if (holder) {
    throw subnetInUse(subnet, holder.what);
  }
  return {
    name,
    id,
    created: new Date().toISOString(),
    bridge: freeBridge(bridges),
    subnet,
    gateway: wanted.gateway ?? gatewayOf(subnet),
    ...(ipv6 ? { subnet6: chooseSubnet6(id) } : {}),
    internal,
    ...(mtu === undefined ? {} : { mtu }),
    labels,
  };
}

function freeBridge(bridges: ReadonlySet<string>): string {
  for (;;) {
    const name = `dinghy${randomBytes(4).toString('hex')}`;
    if (!bridges.has(name) && !existsSync(join('/sys/class/net', name))) {
      return name;
    }
  }
}

/**
 * The network is there, all of it at once. `prepare` may add to its folder before it is.
 * @returns false when there is one of this name
 */
export async function publishNetwork(
  paths: StorePaths,
  record: NetworkRecord,
  prepare: (places: NetworkPlaces) => void,
): Promise<boolean> {
  mkdirSync(paths.networks, { recursive: true, mode: 0o700 });
  const draft = await makeTemporary(paths);
  const places = networkPlaces(draft.path);
  try {
    mkdirSync(places.addresses, { mode: 0o700 });
    // Resolvers are given it open and have no privilege, whatever our umask is. Who else has no way here.
    mkdirSync(places.names);
    chmodSync(places.names, 0o755);
    writeFileSync(places.lock, '', { mode: 0o600 });
    writeNetworkRecord(places.record, record);
    prepare(places);
    renameSync(draft.path, paths.network(record.name)); // refuses to replace a folder that is not empty
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') {
      return false;
    }
    throw error;
  } finally {
    await draft.remove();
  }
}

/** By name; one that is being removed is not among them. @throws ERR_STORE */
export function listNetworks(paths: StorePaths): NetworkRecord[] {
  return networkNames(paths).flatMap((name) => readNetwork(paths, name) ?? []);
}

/** Every folder, also of a network that is half gone. */
export function networkNames(paths: StorePaths): string[] {
  try {
    return readdirSync(paths.networks).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return [];
    }
    throw error;
  }
}

/** Undefined when there is none, or none any more. @throws ERR_STORE */
export function readNetwork(paths: StorePaths, name: string): OpenNetwork | undefined {
  const { record: file, lock, addresses, names } = networkPlaces(paths.network(name));
  const record = existsSync(addresses) ? readNetworkRecord(file) : undefined;
  return record && { ...record, lock, addresses, ...(name === defaultNetwork ? {} : { names }) };
}

/** The network of this name, or of this id or the start of one. @throws ERR_NETWORK_NOT_FOUND · ERR_AMBIGUOUS_ID */
export function findNetwork(paths: StorePaths, text: string): OpenNetwork {
  const named = readNetwork(paths, text);
  if (named) {
    return named;
  }
  const matches = /^[0-9a-f]{1,64}$/.test(text) ? listNetworks(paths).filter(({ id }) => id.startsWith(text)) : [];
  if (matches.length > 1) {
    throw new DinghyError({
      code: 'ERR_AMBIGUOUS_ID',
      message: `${JSON.stringify(text)} is the start of ${matches.length} network ids: give more of it`,
      details: { matches: matches.map(({ id }) => id) },
    });
  }
  const found = matches[0] && readNetwork(paths, matches[0].name);
  if (!found) {
    throw networkNotFound(text);
  }
  return found;
}

/**
 * Nobody can join the network any more, and it is gone from its place; for whoever holds the lock of networks. Claiming an address
 * needs the folder that goes first, so that whoever was faster keeps the network.
 * @returns false when it is used
 */
export function dropNetwork(paths: StorePaths, name: string): boolean {
  const folder = paths.network(name);
  try {
    rmdirSync(networkPlaces(folder).addresses);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') {
      return false;
    }
    if (code !== 'ENOENT') {
      throw error;
    }
  }
  const grave = join(paths.temporary, randomBytes(12).toString('hex'));
  renameSync(folder, grave);
  rmSync(grave, { recursive: true, force: true });
  return true;
}

export function networkNotFound(name: string): DinghyError {
  return new DinghyError({
    code: 'ERR_NETWORK_NOT_FOUND',
    message: `there is no network ${name}: make it with createNetwork, or see what there is with networks()`,
    details: { network: name },
  });
}

function subnetInUse(subnet: Subnet, what: string): DinghyError {
  const text = formatSubnet(subnet);
  return new DinghyError({
    code: 'ERR_SUBNET_IN_USE',
    message: `the subnet ${text} overlaps ${what}: give another one, or none to have one chosen`,
    details: { subnet: text },
  });
}
