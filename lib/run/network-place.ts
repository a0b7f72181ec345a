import { existsSync, rmSync } from 'node:fs';

import { DinghyError } from '../errors';
import { claimAddress } from '../network/addresses';
import { bridgeName, defaultNetwork, openBridgeNetwork, type OpenNetwork } from '../network/bridge-network';
import { endpointSection } from '../network/endpoint';
import { publishExposed } from '../network/ports';
import type { ImageConfig } from '../oci/image-config';
import type { AttachmentSetting, ContainerSettings } from '../oci/settings';
import type { GeneratedFiles } from '../oci/spec-mounts';
import type { EndpointSection, NetworkSection } from '../oci/spec-types';
import { invalidOption } from '../util/checks';
import { readSpec } from './config-file';
import type { ContainerControl } from './container-control';
import type { RunContext } from './context';
import { etcFiles } from './etc-files';
import { findContainer } from './find';
import { findNetwork, listNetworks, networkNotFound } from './network-store';

/** What was reserved of networks for one container. */
export interface NetworkPlace {
  section: NetworkSection;
  /** Of the container whose network it has. */
  shared?: { hostname: string; files: GeneratedFiles };
  undo: () => void;
}

/**
 * The container has its place on each of its networks: an address that nobody else has. Nothing of the kernel's is touched: bridges and
 * links are its supervisor's.
 *
 * @throws ERR_CONTAINER_NOT_FOUND · ERR_NETWORK_NOT_FOUND · ERR_ADDRESS_IN_USE · ERR_NO_SPACE · ERR_HOST_UNSUPPORTED · ERR_INVALID_OPTION · ERR_STORE
 */
export function reserveNetwork(
  context: RunContext,
  containerId: string,
  settings: ContainerSettings,
  image: ImageConfig,
): NetworkPlace {
  const { network, ports, publishAll } = settings;
  if (network.mode === 'container') {
    assertPrivileged(context, `network 'container:${network.container}'`);
    return { ...shareNetwork(findContainer(context, network.container)), undo: () => undefined };
  }
  if (network.mode !== 'bridge') {
    return { section: { mode: network.mode }, undo: () => undefined };
  }
  const endpoints: EndpointSection[] = [];
  const undo = (): void => endpoints.forEach(releaseEndpoint);
  try {
    for (const attachment of network.networks) {
      const beside = { others: endpoints, number: endpoints.length };
      endpoints.push(reserveEndpoint(context, containerId, attachment, beside));
    }
    const published = [...ports, ...(publishAll ? publishExposed(image.ports, ports) : [])];
    if (published.length > 0 && endpoints.every(({ internal }) => internal)) {
      throw invalidOption('ports', network.networks[0]?.network, 'need a network that is not internal');
    }
    const { dns, hostPorts } = settings;
    const section: NetworkSection = {
      mode: 'bridge',
      endpoints,
      ...(dns.length > 0 ? { dns } : {}),
      ports: published,
      ...(hostPorts.length > 0 ? { hostPorts } : {}),
    };
    return { section, undo };
  } catch (error) {
    undo();
    throw error;
  }
}

function shareNetwork({ record, places }: ContainerControl): Pick<NetworkPlace, 'section' | 'shared'> {
  const mounts = readSpec(places.config)?.mounts ?? [];
  const own = etcFiles(places.etc);
  // They may be another container's themselves, as its network may.
  const source = (target: string, file: string): string =>
    mounts.find(({ destination, source: from }) => destination === target && from !== undefined)?.source ?? file;
  return {
    section: { mode: 'container', container: record.id, socket: places.socket },
    shared: {
      hostname: record.hostname,
      files: {
        hosts: source('/etc/hosts', own.hosts),
        hostname: source('/etc/hostname', own.hostname),
        resolvConf: source('/etc/resolv.conf', own.resolvConf),
      },
    },
  };
}

/** The container has an address on one more network than those of `others`. @throws as reserveNetwork */
export function reserveEndpoint(
  context: RunContext,
  containerId: string,
  { network: name, aliases, address: wanted }: AttachmentSetting,
  { others, number }: { others: readonly EndpointSection[]; number: number },
): EndpointSection {
  const network = openNetwork(context, name);
  if (others.some((each) => each.network === network.name)) {
    throw invalidOption('network', name, 'must be a network that the container is not on already');
  }
  const { subnet, gateway, addresses: folder, internal } = network;
  const hasVanished = (id: string): boolean => !existsSync(context.paths.container(id));
  try {
    const given = wanted === undefined ? {} : { address: wanted };
    const { address, path } = claimAddress({ folder, subnet, gateway, containerId, hasVanished, ...given });
    const defaultRoute = !internal && !others.some((each) => each.defaultRoute);
    return endpointSection({ network, number, address, aliases, defaultRoute, claims: [path] });
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? networkNotFound(name) : error;
  }
}

/** What reserveEndpoint took is free again. */
export function releaseEndpoint({ claims }: EndpointSection): void {
  claims.forEach((path) => rmSync(path, { force: true }));
}

/** @throws ERR_NETWORK_NOT_FOUND · ERR_HOST_UNSUPPORTED */
export function openNetwork(context: RunContext, name: string): OpenNetwork {
  assertPrivileged(context, `network '${name}'`);
  return name === defaultNetwork ? openDefaultNetwork(context) : findNetwork(context.paths, name);
}

/** The default network, made if need be. */
export function openDefaultNetwork({ paths }: RunContext): OpenNetwork {
  return openBridgeNetwork({
    folder: paths.network(defaultNetwork),
    bridge: bridgeName(paths.root),
    others: () =>
      listNetworks(paths)
        .filter(({ name }) => name !== defaultNetwork)
        .map(({ subnet }) => subnet),
  });
}

export function assertPrivileged({ rootless }: RunContext, what: string): void {
  if (rootless) {
    throw new DinghyError({
      code: 'ERR_HOST_UNSUPPORTED',
      message: `${what} needs root in this version: run as root, or give network 'none' or 'host'`,
      step: 'bridge',
      exitCode: 125,
    });
  }
}
