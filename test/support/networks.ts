import { readdirSync } from 'node:fs';

import type { Container } from '../../lib';

/** The container's address there, without its prefix. */
export async function addressOf(container: Container, network: string): Promise<string> {
  const { networks } = await container.inspect();
  return networks[network]?.address?.replace(/\/.*/, '') ?? '';
}

/** Of this host. */
export function linkNames(): string[] {
  return readdirSync('/sys/class/net');
}
