import { existsSync } from 'node:fs';

import { DinghyError } from '../errors';
import type { ContainerControl } from './container-control';
import { parsePortNumber, type PortNumber } from './listening';
import { isActive, observe, type PortBinding } from './state';

/** The binding of a published port; one on IPv4 goes before one on IPv6. */
export function findBinding(bindings: readonly PortBinding[], wanted: PortNumber): PortBinding | undefined {
  const found = bindings.filter(
    ({ containerPort, protocol }) => containerPort === wanted.port && protocol === wanted.protocol,
  );
  return found.find(({ hostAddress }) => !hostAddress.includes(':')) ?? found[0];
}

/** An address that this host reaches the port at: every address means loopback too. */
export function reachableHost({ hostAddress }: Pick<PortBinding, 'hostAddress'>): string {
  const everywhere: Readonly<Record<string, string>> = { '': '127.0.0.1', '0.0.0.0': '127.0.0.1', '::': '::1' };
  return everywhere[hostAddress] ?? hostAddress;
}

/** @throws ERR_PORT_NOT_PUBLISHED · ERR_INVALID_OPTION */
export function publishedPort(name: string, bindings: readonly PortBinding[], port: number | string): PortBinding {
  const wanted = parsePortNumber('port', port);
  const binding = findBinding(bindings, wanted);
  if (!binding) {
    const known = bindings.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`);
    const published = known.length > 0 ? `only ${[...new Set(known)].join(', ')}` : 'no port at all';
    throw new DinghyError({
      code: 'ERR_PORT_NOT_PUBLISHED',
      message: `container ${name} does not publish ${wanted.port}/${wanted.protocol}, ${published}: give it in ports`,
      details: { port: wanted.port, protocol: wanted.protocol },
    });
  }
  return { ...binding, hostAddress: reachableHost(binding) };
}

/**
 * Where a container's published port is reached, while it runs or is about to be started again.
 * @throws ERR_PORT_NOT_PUBLISHED · ERR_CONTAINER_NOT_RUNNING · ERR_CONTAINER_NOT_FOUND · ERR_INVALID_OPTION
 */
export function portOf(control: ContainerControl, port: number | string): PortBinding {
  const { places, record } = control;
  if (!existsSync(places.record)) {
    throw control.notFound();
  }
  const { alive, state } = observe(places);
  if (alive && state && isActive(state)) {
    return publishedPort(record.name, state.ports, port);
  }
  publishedPort(record.name, record.ports, port);
  throw control.notRunning();
}
