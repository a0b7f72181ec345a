import { createHash } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { invalidOption } from '../util/checks';
import { formatIpv4, formatSubnet, parseIpv4, sizeOf, type Subnet } from './ipv4';

export interface ClaimOptions {
  /** Holds one file for each claimed address, whose content is the container's id. */
  folder: string;
  subnet: Subnet;
  gateway: string;
  containerId: string;
  /** True when no container of this id is there any more. */
  hasVanished: (containerId: string) => boolean;
  /** This one and no other. */
  address?: string;
}

export interface Claim {
  address: string;
  /** Whoever removes the container unlinks it. */
  path: string;
}

/** A container's folder is made before its claim, but a reader may come in between the two halves of either. */
const youngMs = 60_000;

/**
 * An address of the subnet, or the given one, is this container's alone, until the file is unlinked.
 *
 * The search begins at a place that depends on the id: neighbours' caches, connection tracking and TIME_WAIT remember an address for a
 * while after its container has gone, so the next container had better not get it.
 *
 * @throws ERR_NO_SPACE when every address is claimed; ERR_ADDRESS_IN_USE, ERR_INVALID_OPTION of a given one; ENOENT without the folder
 */
export function claimAddress(options: ClaimOptions): Claim {
  const { folder, subnet, gateway, containerId, address: given } = options;
  if (given !== undefined) {
    return claimGiven(given, options);
  }
  const usable = sizeOf(subnet) - 2; // neither the network's own address nor the broadcast one
  const start = createHash('sha256').update(containerId).digest().readUInt32BE() % usable;
  for (let step = 0; step < usable; step++) {
    const address = formatIpv4(subnet.base + 1 + ((start + step) % usable));
    const path = join(folder, address);
    if (address !== gateway && claimOrTakeOver(path, options)) {
      return { address, path };
    }
  }
  throw new DinghyError({
    code: 'ERR_NO_SPACE',
    message: `no address is free in the network: all ${usable - 1} are claimed by containers; remove some`,
    step: 'claim address',
  });
}

function claimGiven(address: string, options: ClaimOptions): Claim {
  const { folder, subnet, gateway } = options;
  const number = parseIpv4(address);
  const index = number === undefined ? -1 : number - subnet.base;
  if (index < 1 || index > sizeOf(subnet) - 2 || address === gateway) {
    const wanted = `must be of the network's subnet ${formatSubnet(subnet)}, and not its gateway ${gateway} nor its first or last one`;
    throw invalidOption('address', address, wanted);
  }
  const path = join(folder, address);
  if (!claimOrTakeOver(path, options)) {
    const owner = readOwner(path);
    throw new DinghyError({
      code: 'ERR_ADDRESS_IN_USE',
      message: `the address ${address} is in use${owner ? ` by container ${owner.slice(0, 12)}` : ''}: remove that container, or give another address`,
      details: { address, ...(owner ? { container: owner } : {}) },
    });
  }
  return { address, path };
}

function readOwner(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // released since
  }
}

function claimOrTakeOver(path: string, options: ClaimOptions): boolean {
  const { containerId } = options;
  return claim(path, containerId) || (removeStale(path, options) && claim(path, containerId));
}

/** True when the file was made by this call: O_EXCL lets one of many callers win. */
function claim(path: string, containerId: string): boolean {
  try {
    writeFileSync(path, containerId, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      return false;
    }
    rmSync(path, { force: true }); // made, but not written: the disk is full
    throw error;
  }
}

/** True when the claim was one of a container that is gone, and no longer stands. */
function removeStale(path: string, { containerId, hasVanished }: ClaimOptions): boolean {
  const owner = staleOwner(path, hasVanished);
  if (owner === undefined) {
    return false;
  }
  // Renamed first and looked at again: between the look above and an unlink, another process might have taken it over, and its
  // claim would be the one that is removed. A rename has one winner.
  const aside = `${path}.${containerId.slice(0, 12)}`;
  try {
    renameSync(path, aside);
    const isSame = readFileSync(aside, 'utf8') === owner;
    if (!isSame) {
      linkSync(aside, path);
    }
    return isSame;
  } catch {
    return false; // somebody else was faster
  } finally {
    rmSync(aside, { force: true });
  }
}

function staleOwner(path: string, hasVanished: (containerId: string) => boolean): string | undefined {
  try {
    if (Date.now() - statSync(path).mtimeMs < youngMs) {
      return undefined;
    }
    const owner = readFileSync(path, 'utf8');
    return hasVanished(owner) ? owner : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined; // just released: it is left to those who ask next
    }
    throw error;
  }
}

/** A hardware address that carries the IPv4 one: as unique on the bridge as that, and the same after a restart. */
export function macOf(address: string): string {
  const number = parseIpv4(address) ?? 0;
  const bytes = [0x02, 0xd1, ...[24, 16, 8, 0].map((shift) => (number >>> shift) & 255)];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
