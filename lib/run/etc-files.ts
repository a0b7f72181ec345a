import { writeFileSync } from 'node:fs';
import { hostname as hostHostname } from 'node:os';
import { join } from 'node:path';

import type { ContainerSettings } from '../oci/settings';
import type { GeneratedFiles } from '../oci/spec-mounts';
import type { NetworkSection } from '../oci/spec-types';
import { makeResolvConf } from './resolv-conf';

/** The host name a container gets: what was asked for, the host's own in the host's network, else its short id. */
export function containerHostname(id: string, settings: ContainerSettings): string {
  return settings.hostname ?? (settings.network.mode === 'host' ? hostHostname().slice(0, 64) : id.slice(0, 12));
}

/** Where they lie in a container's folder. */
export function etcFiles(folder: string): GeneratedFiles {
  return { hosts: join(folder, 'hosts'), hostname: join(folder, 'hostname'), resolvConf: join(folder, 'resolv.conf') };
}

/**
 * hosts, hostname and resolv.conf of the container lie in `folder`. They are mounted over the image's files, which may be
 * links that lead anywhere: the mount resolves them inside the root.
 */
export function writeEtcFiles(
  folder: string,
  settings: ContainerSettings,
  hostname: string,
  network: NetworkSection,
): GeneratedFiles {
  const files = etcFiles(folder);
  writeFileSync(files.hosts, makeHosts(settings, hostname, network), { mode: 0o644 });
  writeFileSync(files.hostname, `${hostname}\n`, { mode: 0o644 });
  writeFileSync(files.resolvConf, makeResolvConf(settings, network), { mode: 0o644 });
  return files;
}

export function makeHosts(settings: ContainerSettings, hostname: string, network: NetworkSection): string {
  const lines = [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::\tip6-localnet',
    'ff00::\tip6-mcastprefix',
    'ff02::1\tip6-allnodes',
    'ff02::2\tip6-allrouters',
  ];
  const gateway = gatewayOf(network);
  if (network.mode === 'bridge') {
    lines.push(`${gateway}\t${hostNames}`);
    const addresses = network.endpoints.flatMap(({ address, address6 }) => [address, ...(address6 ? [address6] : [])]);
    lines.push(...addresses.map((address) => `${address.replace(/\/.*$/, '')}\t${hostname}`));
  } else {
    lines.push(`127.0.1.1\t${hostname}`);
    if (network.mode === 'host') lines.push(`127.0.0.1\t${hostNames}`);
  }
  for (const [name, address] of Object.entries(settings.extraHosts)) {
    lines.push(`${address === 'host-gateway' ? gateway : address}\t${name}`);
  }
  return `${lines.join('\n')}\n`;
}

const hostNames = 'host.dinghy.internal host.docker.internal';

/** Where the host is reached: by way of the default route, if there is one. */
function gatewayOf(network: NetworkSection): string {
  const endpoints = network.mode === 'bridge' ? network.endpoints : [];
  return (endpoints.find(({ defaultRoute }) => defaultRoute) ?? endpoints[0])?.gateway ?? '127.0.0.1';
}
