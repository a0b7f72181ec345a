import { readFileSync } from 'node:fs';

import type { Command } from 'commander';
import type { Container, ContainerStats } from '../../index';
import { isDinghyError } from '../../index';
import type { Context } from '../context';
import { binarySize, humanSize, shortId } from '../format';
import { type Column, printRows, type Row } from '../table';

interface StatsFlags {
  all?: boolean;
  format?: string;
  /** False by `--no-stream`. */
  stream: boolean;
  /** False by `--no-trunc`. */
  trunc: boolean;
}

const columns: readonly Column[] = [
  ['CONTAINER ID', 'ID'],
  ['NAME', 'Name'],
  ['CPU %', 'CPUPerc'],
  ['MEM USAGE / LIMIT', 'MemUsage'],
  ['MEM %', 'MemPerc'],
  ['NET I/O', 'NetIO'],
  ['BLOCK I/O', 'BlockIO'],
  ['PIDS', 'PIDs'],
];

/** `stats [CONTAINER…]`: what the named ones, or all that run, use; again every second, until interrupted. */
export function configure(command: Command, context: Context): void {
  command
    .option('-a, --all', 'also those that do not run')
    .option('--format <template>', "'{{.Name}} {{.CPUPerc}}', 'table {{.Name}}', json")
    .option('--no-stream', 'once')
    .option('--no-trunc', 'whole ids')
    .argument('[containers...]')
    .action(async (names: string[], flags: StatsFlags) => {
      const watches = new Watches();
      const memory = hostMemory();
      do {
        const containers = await choose(names, flags, context);
        const rows = await Promise.all(
          containers.map(async (one) => rowOf(one, await watches.next(one, flags.stream), memory, flags.trunc)),
        );
        if (flags.stream && context.stdout.isTTY) context.stdout.write('\x1b[2J\x1b[H');
        printRows(context.stdout, columns, rows, flags.format);
        if (flags.stream && rows.length === 0) await new Promise((resolve) => setTimeout(resolve, 1000));
      } while (flags.stream);
    });
}

async function choose(names: readonly string[], { all }: StatsFlags, context: Context): Promise<Container[]> {
  const runtime = context.runtime();
  return names.length === 0
    ? runtime.containers({ all: all ?? false })
    : Promise.all(names.map((name) => runtime.container(name)));
}

/** A stream of each container: CPU time is a share of the span since the last look. */
class Watches {
  readonly #streams = new Map<string, AsyncIterator<ContainerStats>>();

  /** Undefined when it doesn't run. */
  async next(container: Container, again: boolean): Promise<ContainerStats | undefined> {
    try {
      if (!again) {
        return await container.stats();
      }
      const stream = this.#streams.get(container.id) ?? container.stats({ stream: true })[Symbol.asyncIterator]();
      this.#streams.set(container.id, stream);
      const next = await stream.next();
      if (!next.done) {
        return next.value;
      }
    } catch (error) {
      const over = ['ERR_CONTAINER_NOT_RUNNING', 'ERR_CONTAINER_NOT_FOUND'];
      if (!isDinghyError(error) || !over.includes(error.code)) throw error;
    }
    this.#streams.delete(container.id);
    // Who watches one that doesn't run is told so at the pace of the others.
    if (again) await new Promise((resolve) => setTimeout(resolve, 1000));
    return undefined;
  }
}

function rowOf({ id, name }: Container, stats: ContainerStats | undefined, hostBytes: number, trunc: boolean): Row {
  const { cpu, memory, network, io, pids } = stats ?? nothing;
  // Docker tells a limit that nobody gave as the host's memory.
  const limitBytes = stats ? Math.min(memory.limitBytes ?? hostBytes, hostBytes) : 0;
  return {
    Container: name,
    ID: trunc ? shortId(id) : id,
    Name: name,
    CPUPerc: `${cpu.percent.toFixed(2)}%`,
    MemUsage: `${binarySize(memory.usageBytes)} / ${binarySize(limitBytes)}`,
    MemPerc: `${(limitBytes > 0 ? (memory.usageBytes / limitBytes) * 100 : 0).toFixed(2)}%`,
    NetIO: `${humanSize(network.receivedBytes)} / ${humanSize(network.sentBytes)}`,
    BlockIO: `${humanSize(io.readBytes)} / ${humanSize(io.writtenBytes)}`,
    PIDs: String(pids.current),
  };
}

const nothing: Omit<ContainerStats, 'time'> = {
  cpu: { usageMs: 0, percent: 0, throttledMs: 0 },
  memory: { usageBytes: 0, cacheBytes: 0 },
  pids: { current: 0 },
  io: { readBytes: 0, writtenBytes: 0 },
  network: { receivedBytes: 0, sentBytes: 0, interfaces: {} },
};

function hostMemory(): number {
  return Number(/^MemTotal:\s*(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0) * 1024;
}
