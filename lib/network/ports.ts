import { isIP, isIPv6 } from 'node:net';

import type { BridgeSection } from '../oci/spec-types';
import { checkArray, checkChoice, checkInteger, checkOptions, invalidOption, isPlainObject } from '../util/checks';

/**
 * A port to publish. `hostAddress` is one literal address, or '' for 0.0.0.0 and ::, or 'localhost' for 127.0.0.1 and ::1, under one
 * number; `hostPort` 0 is any free one.
 */
export type PublishedPort = BridgeSection['ports'][number];

const wanted =
  "must be a container port like 5432 or '53/udp', or '[host address:][host port]:container port[/udp]' like '8001:80', " +
  "'127.0.0.1::80', '[::1]:8080:80', '8000-8005:8000-8005'";

/**
 * The `ports` option. A container port alone is published on loopback, at a free number; with a colon it is Docker's `-p`: on all
 * addresses unless one is given.
 *
 * @throws ERR_INVALID_OPTION naming the entry
 */
export function parsePorts(value: unknown): PublishedPort[] {
  const ports = checkArray('ports', value, parsePort).flat();
  checkUnique(ports);
  return ports;
}

/** An image's exposed ports (`80/tcp`, `8000-8005`), each at a free number on all addresses, save those that `ports` has already: Docker's `-P`. */
export function publishExposed(exposed: readonly string[], ports: readonly PublishedPort[]): PublishedPort[] {
  const isThere = (port: PublishedPort) =>
    ports.some(({ containerPort, protocol }) => containerPort === port.containerPort && protocol === port.protocol);
  return exposed
    .flatMap((text) => parsePort('image ports', text))
    .filter((port) => !isThere(port))
    .map((port) => ({ ...port, hostAddress: '' }));
}

function parsePort(option: string, value: unknown): PublishedPort[] {
  if (isPlainObject(value)) {
    return [parseObject(option, value)];
  }
  if (typeof value === 'number') {
    return [{ hostAddress: 'localhost', hostPort: 0, containerPort: checkPort(option, value, 1), protocol: 'tcp' }];
  }
  if (typeof value !== 'string') {
    throw invalidOption(option, value, wanted);
  }
  return parseText(option, value);
}

function parseObject(option: string, value: Record<string, unknown>): PublishedPort {
  const given = checkOptions(option, value, ['containerPort', 'hostPort', 'hostAddress', 'protocol']);
  const { hostAddress, hostPort = 0, containerPort, protocol = 'tcp' } = given;
  return {
    // As with a bare number: what names neither an address nor a port is for this host alone.
    hostAddress: checkAddress(`${option}.hostAddress`, hostAddress ?? (hostPort === 0 ? 'localhost' : '')),
    hostPort: checkPort(`${option}.hostPort`, hostPort, 0),
    containerPort: checkPort(`${option}.containerPort`, containerPort, 1),
    protocol: checkChoice(`${option}.protocol`, protocol, ['tcp', 'udp']),
  };
}

// Address, host ports, container ports, protocol. An IPv6 address stands in brackets, as in a URL.
const textForm = /^(?:(?:(\[[^\]]*\]|[^:[\]]*):)?([\d-]*):)?([\d-]+)(?:\/(\w+))?$/;

function parseText(option: string, text: string): PublishedPort[] {
  const match = textForm.exec(text);
  if (!match) {
    throw invalidOption(option, text, wanted);
  }
  const [, address, hostText, containerText = '', protocolText = 'tcp'] = match;
  const protocol = checkChoice(option, protocolText.toLowerCase(), ['tcp', 'udp']);
  const container = parseRange(option, text, containerText, 1);
  const host = hostText ? parseRange(option, text, hostText, 0) : undefined;
  if (host && host.length !== container.length) {
    throw invalidOption(option, text, 'must have as many host ports as container ports');
  }
  const hostAddress = hostText === undefined ? 'localhost' : checkAddress(option, unbracketed(address ?? ''));
  return container.map((containerPort, index) => ({
    hostAddress,
    hostPort: host?.[index] ?? 0,
    containerPort,
    protocol,
  }));
}

function unbracketed(address: string): string {
  const inside = /^\[(.*)\]$/.exec(address)?.[1];
  // Brackets are for IPv6 and nothing else: '[127.0.0.1]' is a slip that some programs take and some don't.
  return inside === undefined ? address : isIPv6(inside) ? inside : address;
}

function parseRange(option: string, text: string, range: string, minimum: number): number[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range);
  if (!match) {
    throw invalidOption(option, text, wanted);
  }
  const first = checkPort(option, Number(match[1]), minimum);
  const last = checkPort(option, Number(match[2] ?? match[1]), match[2] === undefined ? minimum : 1);
  if (last < first || (match[2] !== undefined && first === 0)) {
    throw invalidOption(option, text, 'must have a range that begins with its lowest port, from 1 on');
  }
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function checkPort(option: string, value: unknown, minimum: number): number {
  return checkInteger(option, value, minimum, 65535);
}

function checkAddress(option: string, value: unknown): string {
  const valid = typeof value === 'string' && (value === '' || value === 'localhost' || isIP(value) > 0);
  if (!valid || value.includes('%')) {
    throw invalidOption(
      option,
      value,
      "must have an IP address of this host, or 'localhost', where the address stands",
    );
  }
  return value;
}

function checkUnique(ports: readonly PublishedPort[]): void {
  const seen = new Set<string>();
  for (const { hostAddress, hostPort, protocol } of ports) {
    const key = `${hostAddress} ${hostPort}/${protocol}`;
    if (hostPort !== 0 && seen.has(key)) {
      throw invalidOption('ports', `${hostAddress}:${hostPort}/${protocol}`, 'must not publish one host port twice');
    }
    seen.add(key);
  }
}
