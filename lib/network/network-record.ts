import { createHash, randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { formatSubnet, parseIpv4, parseSubnet, type Subnet } from './ipv4';

/** network.json: what is known of a network from its creation on. */
export interface NetworkRecord {
  name: string;
  /** 64 hexadecimal digits. */
  id: string;
  /** ISO 8601. */
  created: string;
  /** The link on the host. */
  bridge: string;
  subnet: Subnet;
  gateway: string;
  /** Where it has IPv6, too: a /64. */
  subnet6?: string;
  /** Nothing gets from it to another network. */
  internal: boolean;
  /** Absent: the kernel's. */
  mtu?: number;
  labels: Record<string, string>;
}

/** Where the parts of a network lie in its folder. */
export interface NetworkPlaces {
  record: string;
  /** Locked by supervisors while they change the bridge. */
  lock: string;
  /** One file for each claimed address. Without it the network is not there (any more). */
  addresses: string;
  /** One file for each address that answers to names. */
  names: string;
  /** Locked by the process that the network ends with; absent where it ends with none. */
  owner: string;
}

export function networkPlaces(folder: string): NetworkPlaces {
  return {
    record: join(folder, 'network.json'),
    lock: join(folder, 'lock'),
    addresses: join(folder, 'addresses'),
    names: join(folder, 'names'),
    owner: join(folder, 'owner'),
  };
}

/** Undefined when there is none. @throws ERR_STORE when the file is not what it should be */
export function readNetworkRecord(file: string): NetworkRecord | undefined {
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
      message: `${file} does not describe a network: remove its folder when no container runs; the default one is made again`,
      details: { path: file },
    });
  }
  return record;
}

function parseRecord(text: string): NetworkRecord | undefined {
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    const {
      bridge,
      name = 'bridge',
      created = new Date(0).toISOString(),
      internal = false,
      labels = {},
      mtu,
      subnet6,
    } = value;
    const subnet = parseSubnet(String(value['subnet']));
    const gateway = String(value['gateway']);
    if (typeof bridge !== 'string' || !subnet || parseIpv4(gateway) === undefined) {
      return undefined;
    }
    const { id = createHash('sha256').update(bridge).digest('hex') } = value;
    return {
      name: String(name),
      id: String(id),
      created: String(created),
      bridge,
      subnet,
      gateway,
      ...(typeof subnet6 === 'string' ? { subnet6 } : {}),
      internal: internal === true,
      ...(typeof mtu === 'number' ? { mtu } : {}),
      labels: labels as Record<string, string>,
    };
  } catch {
    return undefined;
  }
}

/** The file holds this record, whole or not at all; unless `replace`, it is left to the one that is there already. */
export function writeNetworkRecord(file: string, record: NetworkRecord, { replace = false } = {}): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  const content = { version: 1, ...record, subnet: formatSubnet(record.subnet) };
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

/** Of a network that nobody has seen yet. */
export function newNetworkId(): string {
  return randomBytes(32).toString('hex');
}
