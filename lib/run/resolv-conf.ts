import { readFileSync } from 'node:fs';

import type { ContainerSettings } from '../oci/settings';
import type { NetworkSection } from '../oci/spec-types';

/** Where a container on networks of names finds its resolver (addon/net/resolver.h). */
export const ownResolver = '127.0.0.11';

type Settings = Pick<ContainerSettings, 'dns' | 'dnsSearch' | 'dnsOptions'>;

/**
 * A container's resolv.conf. Where others have names it asks the resolver in its namespace, which passes the rest on; otherwise the servers
 * that were given, or those of the host that it can reach: not those on the host's loopback, unless it shares that.
 */
export function makeResolvConf(settings: Settings, network: NetworkSection, host = readHostResolvConf()): string {
  const hasResolver = network.mode === 'bridge' && network.endpoints.some(({ names }) => names !== undefined);
  const theirs = host.split('\n').filter((line) => /^\s*(nameserver|search|domain|options)\s/.test(line));
  const of = (kind: RegExp): string[] => theirs.filter((line) => kind.test(line));
  const given = hasResolver ? [ownResolver] : settings.dns;
  const servers = of(server).filter((line) => network.mode === 'host' || !isLoopback(line));
  const options = settings.dnsOptions ?? of(/^\s*options\s/).flatMap((line) => line.trim().split(/\s+/).slice(1));
  // A name without a dot is a container's, before it is tried in any search domain.
  const all = hasResolver && !options.some((each) => each.startsWith('ndots:')) ? [...options, 'ndots:0'] : options;
  return [
    ...(given.length > 0 ? given.map((address) => `nameserver ${address}`) : servers),
    ...(settings.dnsSearch ? asLine('search', settings.dnsSearch) : of(/^\s*(search|domain)\s/)),
    ...asLine('options', all),
    '',
  ].join('\n');
}

function asLine(kind: string, words: readonly string[]): string[] {
  return words.length > 0 ? [`${kind} ${words.join(' ')}`] : [];
}

const server = /^\s*nameserver\s/;

function isLoopback(line: string): boolean {
  return /^\s*nameserver\s+(127\.|::1\b)/.test(line);
}

// systemd-resolved puts its stub on 127.0.0.53 and keeps the real servers here.
const upstreamResolvConf = '/run/systemd/resolve/resolv.conf';

function readHostResolvConf(): string {
  const text = readOrEmpty('/etc/resolv.conf');
  const servers = text.split('\n').filter((line) => server.test(line));
  return servers.length > 0 && servers.every(isLoopback) ? readOrEmpty(upstreamResolvConf) || text : text;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
