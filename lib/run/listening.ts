import { readFileSync } from 'node:fs';

import { invalidOption } from '../util/checks';

export interface PortNumber {
  port: number;
  protocol: 'tcp' | 'udp';
}

/** `80`, `'80'`, `'53/udp'`. */
export function parsePortNumber(option: string, value: unknown): PortNumber {
  const match = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(String(value));
  const port = Number(match?.[1]);
  if (!match || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw invalidOption(option, value, "must be a port like 80 or '53/udp'");
  }
  return { port, protocol: match[2] === 'udp' ? 'udp' : 'tcp' };
}

// proc_net(5) shows a listening TCP socket as state 0A, and an unconnected UDP socket as 07.
const waitingState = { tcp: '0A', udp: '07' } as const;

/** Whether anything in the network namespace of `pid` waits on this port: read from outside, so it needs no shell inside. */
export function isListening(pid: number, { port, protocol }: PortNumber): boolean {
  return ['', '6'].some((family) => {
    let table: string;
    try {
      table = readFileSync(`/proc/${pid}/net/${protocol}${family}`, 'latin1');
    } catch {
      return false; // no IPv6 here, or the process has just ended
    }
    return hasListener(table, port, waitingState[protocol]);
  });
}

export function hasListener(table: string, port: number, state: string): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return table
    .split('\n')
    .slice(1)
    .some((line) => {
      const [, local, , status] = line.trim().split(/\s+/);
      return status === state && local?.endsWith(`:${hex}`) === true;
    });
}
