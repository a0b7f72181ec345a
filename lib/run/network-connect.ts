import { DinghyError } from '../errors';
import { maxInterfaces } from '../network/endpoint';
import type { AttachmentSetting } from '../oci/settings';
import type { EndpointSection } from '../oci/spec-types';
import { withLock } from '../store/locks';
import { invalidOption } from '../util/checks';
import { readSpec } from './config-file';
import type { ContainerControl } from './container-control';
import { noteEvent } from './journal';
import { openNetwork, releaseEndpoint, reserveEndpoint } from './network-place';
import { findNetwork } from './network-store';
import { dropForsakenClaims, isConfirmed } from './network-users';

/**
 * The container is on this network too, at once if it runs, and from its next start on.
 *
 * @throws ERR_NETWORK_NOT_FOUND · ERR_ADDRESS_IN_USE · ERR_NO_SPACE · ERR_INVALID_OPTION where it is on it already, or has no network of its own
 */
export async function connectContainer(control: ContainerControl, attachment: AttachmentSetting): Promise<void> {
  // One at a time: two would choose the same interface. Without a supervisor's word a claim is nobody's, so whoever removes a network
  // must not look in between.
  await withLock(control.context.paths.lock('networks'), async () => {
    let reserved: EndpointSection | undefined;
    try {
      await control.changeNetwork('connect', () => {
        reserved = reserveFor(control, attachment);
        return { endpoint: reserved };
      });
    } catch (error) {
      // A supervisor that was killed may have done it without having said so.
      if (reserved && !isConfirmed(control.places.config, reserved.claims)) {
        releaseEndpoint(reserved);
      }
      throw error;
    }
    note(control, 'connect', reserved!.network);
  });
}

function reserveFor(control: ContainerControl, attachment: AttachmentSetting): EndpointSection {
  const { context, record } = control;
  const others = endpointsOf(control);
  const network = openNetwork(context, attachment.network);
  if (!others.some((each) => each.network === network.name)) {
    dropForsakenClaims(network, record.id);
  }
  return reserveEndpoint(context, record.id, attachment, { others, number: freeNumber(others) });
}

/**
 * The container is not on this network any more; its address there is free.
 *
 * @throws ERR_NETWORK_NOT_FOUND · ERR_INVALID_OPTION where it is not on it
 */
export async function disconnectContainer(control: ContainerControl, name: string): Promise<void> {
  const { paths } = control.context;
  await withLock(paths.lock('networks'), async () => {
    const network = findNetwork(paths, name);
    await control.changeNetwork('disconnect', () => {
      if (!endpointsOf(control).some((each) => each.network === network.name)) {
        dropForsakenClaims(network, control.record.id);
        throw notOnIt(control, network.name);
      }
      return { network: network.name };
    });
    note(control, 'disconnect', network.name);
  });
}

function endpointsOf(control: ContainerControl): EndpointSection[] {
  const network = readSpec(control.places.config)?.dinghy.network;
  if (!network) {
    throw control.notFound();
  }
  if (network.mode !== 'bridge') {
    const message = `container ${control.record.name} has network '${network.mode}': only one that is on a network can change networks`;
    throw new DinghyError({ code: 'ERR_INVALID_OPTION', message, details: { option: 'container' } });
  }
  return network.endpoints;
}

function freeNumber(others: readonly EndpointSection[]): number {
  const taken = new Set(others.map(({ number }) => number));
  if (taken.size >= maxInterfaces) {
    throw invalidOption('network', taken.size, `must be at most ${maxInterfaces} networks for a container`);
  }
  let number = 0;
  while (taken.has(number)) number++;
  return number;
}

function notOnIt({ record }: ContainerControl, network: string): DinghyError {
  return new DinghyError({
    code: 'ERR_INVALID_OPTION',
    message: `container ${record.name} is not on network ${network}: see inspect().networks`,
    details: { option: 'container', container: record.id, network },
  });
}

function note({ context, record }: ContainerControl, action: string, network: string): void {
  const attributes = { container: record.id, name: network, type: 'bridge' };
  noteEvent(context.state, { type: 'network', action, id: network, attributes });
}
