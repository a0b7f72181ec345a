import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type { OpenNetwork } from '../network/bridge-network';
import { address6Of, prefix6 } from '../network/ipv6';
import { readSpec } from './config-file';
import type { ContainerControl } from './container-control';
import type { RunContext } from './context';
import { listContainers } from './find';

/** A container on a network. */
export interface NetworkUser {
  id: string;
  name: string;
  /** With its prefix. */
  address: string;
  address6?: string;
}

/** By id; what is left of containers that were killed goes now. */
export async function namesOfContainers(context: RunContext): Promise<Map<string, string>> {
  return new Map((await listContainers(context)).map(({ record }) => [record.id, record.name]));
}

/** Who has an address there. */
export function usersOf(
  { addresses, subnet, subnet6 }: OpenNetwork,
  names: ReadonlyMap<string, string>,
): NetworkUser[] {
  const six = (address: string): Pick<NetworkUser, 'address6'> =>
    subnet6 === undefined ? {} : { address6: `${address6Of(subnet6, address)}/${prefix6}` };
  return claimsIn(addresses).flatMap((address) => {
    const id = readClaim(join(addresses, address));
    const name = id === undefined ? undefined : names.get(id);
    return id === undefined || name === undefined
      ? []
      : [{ id, name, address: `${address}/${subnet.prefix}`, ...six(address) }];
  });
}

function claimsIn(addresses: string): string[] {
  try {
    return readdirSync(addresses).sort();
  } catch {
    return []; // removed since
  }
}

function readClaim(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // released since
  }
}

/**
 * For whoever has the lock of networks: claims of containers that were never finished, or whose removal or connecting was cut short, are
 * gone.
 * @returns the names of the others' containers
 */
export async function settleClaims(context: RunContext, { addresses }: OpenNetwork): Promise<string[]> {
  const { paths } = context;
  const controls = new Map((await listContainers(context)).map((control) => [control.record.id, control]));
  const users: string[] = [];
  for (const path of claimsIn(addresses).map((address) => join(addresses, address))) {
    const id = readClaim(path) ?? '';
    const control = controls.get(id);
    if (control && (await holdsClaim(control, path))) {
      users.push(control.record.name);
    } else if (control || !(/^[0-9a-f]{64}$/.test(id) && existsSync(paths.container(id)))) {
      rmSync(path, { force: true });
    }
  }
  return users;
}

async function holdsClaim(control: ContainerControl, claim: string): Promise<boolean> {
  if (isConfirmed(control.places.config, [claim])) {
    return true;
  }
  // Whoever asked for it may have been killed while the supervisor was at it.
  await control.settle();
  return isConfirmed(control.places.config, [claim]);
}

/** For whoever has the lock of networks, of a network that the container is not on: what was left when its connecting, or its leaving, was cut short. */
export function dropForsakenClaims({ addresses }: OpenNetwork, containerId: string): void {
  for (const path of claimsIn(addresses).map((address) => join(addresses, address))) {
    if (readClaim(path) === containerId) {
      rmSync(path, { force: true });
    }
  }
}

/** Claims hold once the container's configuration has them, which is written before its record. */
export function isConfirmed(config: string, claims: readonly string[]): boolean {
  const network = readSpec(config)?.dinghy.network;
  const confirmed = network?.mode === 'bridge' ? network.endpoints.flatMap((each) => each.claims) : [];
  return claims.every((claim) => confirmed.includes(claim));
}
