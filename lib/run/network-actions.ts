import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import { createLog } from '../log';
import { flock } from '../native/binding';
import { runTask } from '../native/task';
import { defaultNetwork, type OpenNetwork } from '../network/bridge-network';
import { formatSubnet } from '../network/ipv4';
import { gateway6Of } from '../network/ipv6';
import { networkPlaces } from '../network/network-record';
import { isLocked, withLock } from '../store/locks';
import type { RunContext } from './context';
import { noteEvent } from './journal';
import { randomName } from './names';
import type { NetworkSettings } from './network-options';
import { assertPrivileged, openDefaultNetwork } from './network-place';
import { dropNetwork, findNetwork, networkNames, planNetwork, publishNetwork, readNetwork } from './network-store';
import { namesOfContainers, type NetworkUser, settleClaims, usersOf } from './network-users';
import { checkReply } from './start-error';

const log = createLog('network');

/** A network as it stands. */
export interface NetworkState {
  id: string;
  name: string;
  created: Date;
  subnet: string;
  gateway: string;
  /** Where it has IPv6, too. */
  subnet6?: string;
  gateway6?: string;
  /** The bridge's name: there while a container that has been started is on it. */
  bridge: string;
  internal: boolean;
  mtu?: number;
  labels: Record<string, string>;
  /** It outlives the process that made it. */
  detached: boolean;
  /** Who is on it, running or not, by address. */
  containers: NetworkUser[];
}

/** A network that was made here and ends with this process. */
export interface OwnedNetwork {
  name: string;
  id: string;
  /** Holds the owner's lock. */
  fd: number;
}

/** What every process is offered, and nobody can make or remove. */
const predefined = [defaultNetwork, 'host', 'none'];

/**
 * The network is there. Its bridge comes with its first container and goes with its last, so that nothing is in the kernel that a killed
 * process would leave.
 * @returns the lock of one that ends with this process
 * @throws ERR_NAME_IN_USE · ERR_SUBNET_IN_USE · ERR_HOST_UNSUPPORTED
 */
export async function createNetwork(context: RunContext, settings: NetworkSettings): Promise<MadeNetwork> {
  assertPrivileged(context, 'a network');
  if (settings.ipv6) {
    assertIpv6();
  }
  const { paths } = context;
  return withLock(paths.lock('networks'), async () => {
    openDefaultNetwork(context); // has its subnet before this one chooses
    for (let attempt = 0; ; attempt++) {
      const name = settings.name ?? randomName(attempt);
      const made = predefined.includes(name) ? undefined : await makeNetwork(context, { ...settings, name });
      if (made) {
        note(context, 'create', name);
        return made;
      }
      if (settings.name !== undefined && !(await dropForsaken(context, name))) {
        throw nameInUse(name);
      }
    }
  });
}

function assertIpv6(): void {
  if (!existsSync('/proc/sys/net/ipv6')) {
    throw new DinghyError({
      code: 'ERR_HOST_UNSUPPORTED',
      message: 'a network with IPv6 needs it in the kernel, which has none (ipv6.disable=1, perhaps): leave `ipv6` out',
      step: 'bridge',
    });
  }
}

interface MadeNetwork {
  name: string;
  owned?: OwnedNetwork;
}

/** @returns undefined when the name is taken */
async function makeNetwork(
  { paths }: RunContext,
  settings: NetworkSettings & { name: string },
): Promise<MadeNetwork | undefined> {
  const record = planNetwork(paths, settings);
  const { name, id } = record;
  let fd: number | undefined;
  let isMade = false;
  try {
    isMade = await publishNetwork(paths, record, ({ owner }) => {
      if (!settings.detached) {
        fd = openSync(owner, 'wx', 0o600);
        // Before it has its place: nobody finds it without its owner.
        flock(fd, 'exclusive');
      }
    });
    return isMade ? { name, ...(fd === undefined ? {} : { owned: { name, id, fd } }) } : undefined;
  } finally {
    if (!isMade && fd !== undefined) {
      closeSync(fd);
    }
  }
}

/** @throws ERR_NETWORK_NOT_FOUND · ERR_AMBIGUOUS_ID */
export async function inspectNetwork(context: RunContext, nameOrId: string): Promise<NetworkState> {
  const network = nameOrId === defaultNetwork ? await openDefault(context) : findNetwork(context.paths, nameOrId);
  return stateOf(context, network, await namesOfContainers(context));
}

/** All that there are, by name; what a killed process left of networks is removed instead of shown. */
export async function inspectNetworks(context: RunContext): Promise<NetworkState[]> {
  await sweepNetworks(context);
  if (!context.rootless) {
    await openDefault(context);
  }
  const names = await namesOfContainers(context);
  return networkNames(context.paths)
    .flatMap((name) => readNetwork(context.paths, name) ?? [])
    .map((network) => stateOf(context, network, names));
}

async function openDefault(context: RunContext): Promise<OpenNetwork> {
  assertPrivileged(context, `network '${defaultNetwork}'`);
  return withLock(context.paths.lock('networks'), async () => openDefaultNetwork(context));
}

/**
 * The network is gone.
 * @throws ERR_NETWORK_NOT_FOUND · ERR_NETWORK_IN_USE while a container, running or not, is on it · ERR_INVALID_OPTION of a predefined one
 */
export async function removeNetwork(context: RunContext, nameOrId: string): Promise<void> {
  if (predefined.includes(nameOrId)) {
    throw new DinghyError({
      code: 'ERR_INVALID_OPTION',
      message: `network ${nameOrId} is predefined: it cannot be removed`,
      details: { network: nameOrId },
    });
  }
  await withLock(context.paths.lock('networks'), async () => {
    const network = findNetwork(context.paths, nameOrId);
    const users = await dropUnused(context, network);
    if (users.length > 0) {
      throw new DinghyError({
        code: 'ERR_NETWORK_IN_USE',
        message: `cannot remove network ${network.name}: ${users.join(', ')} ${users.length === 1 ? 'is' : 'are'} on it: remove or disconnect ${users.length === 1 ? 'that container' : 'those containers'} first`,
        details: { network: network.name, containers: users },
      });
    }
  });
}

/** What was made here and ends with this process is gone; or, where others are on it, when the last of them is and somebody looks. */
export async function endNetwork(context: RunContext, { name, id, fd }: OwnedNetwork): Promise<void> {
  const { paths } = context;
  try {
    await withLock(paths.lock('networks'), async () => {
      const network = readNetwork(paths, name);
      // Somebody else may have removed it and made another one of this name.
      const users = network?.id === id ? await dropUnused(context, network) : [];
      if (users.length > 0) {
        log('network %s stays for %s', name, users.join(', '));
      }
    });
  } finally {
    closeSync(fd);
  }
}

/** Networks of which nobody is an owner, and that no container is on, are gone. @returns their names */
export async function pruneNetworks(context: RunContext): Promise<string[]> {
  const isOwned = (name: string): boolean => isLocked(networkPlaces(context.paths.network(name)).owner);
  return dropWhere(context, (name) => !isOwned(name));
}

/** What killed processes left of networks is gone, as far as no container is on it. */
export async function sweepNetworks(context: RunContext): Promise<void> {
  if (userNetworks(context).some((name) => isForsaken(context, name))) {
    await dropWhere(context, (name) => isForsaken(context, name));
  }
}

async function dropWhere(context: RunContext, wanted: (name: string) => boolean): Promise<string[]> {
  const { paths } = context;
  return withLock(paths.lock('networks'), async () => {
    const dropped: string[] = [];
    for (const name of userNetworks(context).filter(wanted)) {
      const network = readNetwork(paths, name);
      const gone = network ? (await dropUnused(context, network)).length === 0 : dropNetwork(paths, name);
      if (gone) {
        dropped.push(name);
      }
    }
    return dropped;
  });
}

function userNetworks({ paths }: RunContext): string[] {
  return networkNames(paths).filter((name) => name !== defaultNetwork);
}

/** Its owner has ended, or it is half gone. */
function isForsaken({ paths }: RunContext, name: string): boolean {
  const { owner, addresses } = networkPlaces(paths.network(name));
  return !existsSync(addresses) || (existsSync(owner) && !isLocked(owner));
}

/** For whoever has the lock of networks: true when nothing of this name is in the way any more. */
async function dropForsaken(context: RunContext, name: string): Promise<boolean> {
  if (predefined.includes(name) || !isForsaken(context, name)) {
    return false;
  }
  const network = readNetwork(context.paths, name);
  return network ? (await dropUnused(context, network)).length === 0 : dropNetwork(context.paths, name);
}

/** @returns the names of the containers that keep it; none: it is gone */
async function dropUnused(context: RunContext, network: OpenNetwork): Promise<string[]> {
  const { paths } = context;
  const { name, bridge } = network;
  if (!dropNetwork(paths, name)) {
    const users = await settleClaims(context, network);
    if (users.length > 0) {
      return users;
    }
    if (!dropNetwork(paths, name)) {
      return ['a container that is being made'];
    }
  }
  // Gone with the last container, unless its supervisor was killed.
  if (existsSync(join('/sys/class/net', bridge))) {
    const fields = { trees: [], cgroups: [], links: [bridge], files: [] };
    checkReply(`cannot remove network ${name}`, await runTask('clean', 'clean', fields));
  }
  note(context, 'destroy', name);
  return [];
}

function stateOf(context: RunContext, network: OpenNetwork, names: ReadonlyMap<string, string>): NetworkState {
  const { id, name, created, subnet, gateway, subnet6, bridge, internal, mtu, labels } = network;
  const { owner } = networkPlaces(context.paths.network(name));
  return {
    id,
    name,
    created: new Date(created),
    subnet: formatSubnet(subnet),
    gateway,
    ...(subnet6 === undefined ? {} : { subnet6, gateway6: gateway6Of(subnet6) }),
    bridge,
    internal,
    ...(mtu === undefined ? {} : { mtu }),
    labels,
    detached: !existsSync(owner),
    containers: usersOf(network, names),
  };
}

function note({ state }: RunContext, action: string, name: string): void {
  noteEvent(state, { type: 'network', action, id: name, attributes: { name, type: 'bridge' } });
}

function nameInUse(name: string): DinghyError {
  return new DinghyError({
    code: 'ERR_NAME_IN_USE',
    message: `there is a network ${name} already: remove it, or choose another name`,
    details: { name },
  });
}
