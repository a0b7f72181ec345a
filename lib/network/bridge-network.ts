import { createHash, randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { formatSubnet, overlaps, parseIpv4, parseSubnet, type Subnet } from './ipv4';
import { chooseSubnet, gatewayOf, readRoutes, type Route } from './pool';

/** A network as its folder describes it. */
export interface BridgeNetwork {
  bridge: string;
  subnet: Subnet;
  gateway: string;
  /** Locked by supervisors while they change the bridge. */
  lock: string;
  /** One file for each claimed address. */
  addresses: string;
}

export interface OpenNetworkOptions {
  /** `networks/<name>` of the data folder. Made if need be. */
  folder: string;
  bridge: string;
  /** The host's, unless a test says otherwise. */
  routes?: readonly Route[];
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
 * The network of this folder, its subnet chosen when it is first asked for, and again when the host has meanwhile got a route
 * that collides with it and nobody uses it.
 *
 * @throws ERR_HOST_UNSUPPORTED when no subnet is free · ERR_STORE when network.json is not what it should be
 */
export function openBridgeNetwork(options: OpenNetworkOptions): BridgeNetwork {
  const { folder, bridge } = options;
  const file = join(folder, 'network.json');
  const addresses = join(folder, 'addresses');
  mkdirSync(addresses, { recursive: true, mode: 0o700 });
  let record = readRecord(file);
  if (record?.bridge !== bridge || (collides(record, options) && readdirSync(addresses).length === 0)) {
    const subnet = chooseSubnet(routesOf(options), folder);
    writeRecord(file, { bridge, subnet, gateway: gatewayOf(subnet) }, record !== undefined);
    record = readRecord(file);
  }
  if (!record) {
    throw new DinghyError({ code: 'ERR_STORE', message: `cannot read ${file}: it vanished while it was made` });
  }
  return { ...record, lock: join(folder, 'lock'), addresses };
}

type NetworkRecord = Pick<BridgeNetwork, 'bridge' | 'subnet' | 'gateway'>;

function routesOf({ routes, bridge }: OpenNetworkOptions): Route[] {
  return (routes ?? readRoutes()).filter((route) => route.interface !== bridge);
}

function collides(record: NetworkRecord, options: OpenNetworkOptions): boolean {
  return routesOf(options).some(({ subnet }) => overlaps(subnet, record.subnet));
}

function readRecord(file: string): NetworkRecord | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
  const record = parseRecord(text);
  if (!record) {
    throw new DinghyError({
      code: 'ERR_STORE',
      message: `${file} does not describe a network: remove it when no container runs, and it is made again`,
      details: { path: file },
    });
  }
  return record;
}

function parseRecord(text: string): NetworkRecord | undefined {
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    const subnet = parseSubnet(String(value['subnet']));
    const gateway = String(value['gateway']);
    const valid = typeof value['bridge'] === 'string' && subnet && parseIpv4(gateway) !== undefined;
    return valid ? { bridge: value['bridge'] as string, subnet, gateway } : undefined;
  } catch {
    return undefined;
  }
}

/** The file holds this record, or the one of another process that was faster at making it. */
function writeRecord(file: string, { bridge, subnet, gateway }: NetworkRecord, replace: boolean): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  const content = { version: 1, bridge, subnet: formatSubnet(subnet), gateway };
  try {
    writeFileSync(temporary, `${JSON.stringify(content)}\n`, { flag: 'wx', mode: 0o600 });
    if (replace) {
      renameSync(temporary, file);
    } else {
      linkSync(temporary, file); // unlike a rename, refuses to replace
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw error;
    }
  } finally {
    rmSync(temporary, { force: true });
  }
}
