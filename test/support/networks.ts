import { readdirSync } from 'node:fs';

import type { Container, Network } from '../../lib';
import type { TestBed } from './busybox';

/** The container's address there, without its prefix. */
export async function addressOf(container: Container, network: string): Promise<string> {
  const { networks } = await container.inspect();
  return networks[network]?.address?.replace(/\/.*/, '') ?? '';
}

/** Of this host. */
export function linkNames(): string[] {
  return readdirSync('/sys/class/net');
}

// busybox's own `wget -T` crashes where it is PID 1.
export const getCommand = (address: string): string =>
  `timeout 1 wget -qO- http://${address}/ 2>/dev/null || echo unreachable`;

/** What a fresh container of the network gets from port 80 there. */
export async function reach(bed: TestBed, network: Network | string, address: string): Promise<string> {
  const { stdout } = await bed.runtime.exec(bed.busybox, ['sh', '-c', getCommand(address)], { network });
  return stdout.trim();
}
