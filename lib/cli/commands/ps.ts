import type { Command } from 'commander';
import type { Container, ContainerFilters, ContainerInspect } from '../../index';
import { isDinghyError } from '../../index';
import type { Context } from '../context';
import { collect, parseFilters } from '../filters';
import { ellipsis, humanDuration, shortId } from '../format';
import type { Column, Row } from '../table';
import { printRows } from '../table';

interface PsFlags {
  all?: boolean;
  filter?: string[];
  format?: string;
  last?: string;
  latest?: boolean;
  quiet?: boolean;
  /** False by `--no-trunc`. */
  trunc: boolean;
}

const columns: readonly Column[] = [
  ['CONTAINER ID', 'ID'],
  ['IMAGE', 'Image'],
  ['COMMAND', 'Command'],
  ['CREATED', 'RunningFor'],
  ['STATUS', 'Status'],
  ['PORTS', 'Ports'],
  ['NAMES', 'Names'],
];

const filterKeys = {
  ancestor: 'image',
  exited: 'exited',
  health: 'health',
  id: 'id',
  label: 'label',
  name: 'name',
  status: 'status',
};

/** `ps`: the running containers of this data folder, whoever made them; with -a every one. */
export function configure(command: Command, context: Context): void {
  command
    .option('-a, --all', 'also those that do not run')
    .option('-f, --filter <key=value>', 'id, name, label, status, ancestor, health, exited', collect)
    .option('--format <template>', "'{{.ID}} {{.Names}}', 'table {{.ID}}', json")
    .option('-n, --last <number>', 'the last created ones')
    .option('-l, --latest', 'the last created one')
    .option('--no-trunc', 'whole ids and commands')
    .option('-q, --quiet', 'ids only')
    .action(async (flags: PsFlags) => {
      const filters: ContainerFilters = parseFilters(flags.filter ?? [], filterKeys);
      const last = flags.latest ? 1 : flags.last === undefined ? undefined : Number(flags.last);
      const all =
        (flags.all ?? false) || last !== undefined || filters.status !== undefined || filters.exited !== undefined;
      const containers = await context.runtime().containers({ all, filters });
      const found = (await Promise.all(containers.map(inspect))).filter((one) => one !== undefined);
      found.sort((left, right) => right.created.getTime() - left.created.getTime());
      const rows = found.slice(0, last).map((one) => rowOf(one, flags.trunc, context.now()));
      if (flags.quiet) rows.forEach((row) => context.stdout.write(`${row['ID']}\n`));
      else printRows(context.stdout, columns, rows, flags.format);
    });
}

// One that was removed between being listed and being looked at is simply not there.
async function inspect(container: Container): Promise<ContainerInspect | undefined> {
  try {
    return await container.inspect();
  } catch (error) {
    if (isDinghyError(error) && error.code === 'ERR_CONTAINER_NOT_FOUND') return undefined;
    throw error;
  }
}

function rowOf(one: ContainerInspect, truncate: boolean, now: Date): Row {
  const command = one.command.join(' ');
  return {
    ID: truncate ? shortId(one.id) : one.id,
    Image: one.image,
    Command: JSON.stringify(truncate ? ellipsis(command, 20) : command),
    CreatedAt: one.created.toISOString(),
    RunningFor: `${humanDuration(now.getTime() - one.created.getTime())} ago`,
    Status: statusText(one, now),
    State: one.status,
    // As in Docker: a port is shown while it is published.
    Ports: portsText(one.status === 'running' || one.status === 'paused' ? one.ports : []),
    Names: one.name,
    Networks: Object.keys(one.networks).join(','),
    Labels: Object.entries(one.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(','),
  };
}

/** `Up 5 minutes (healthy)`, `Exited (0) 3 minutes ago`, `Created`. */
export function statusText(one: ContainerInspect, now: Date): string {
  const up = `Up ${humanDuration(now.getTime() - (one.startedAt ?? now).getTime())}`;
  const ago = `${humanDuration(now.getTime() - (one.finishedAt ?? now).getTime())} ago`;
  switch (one.status) {
    case 'running':
      if (!one.health) return up;
      return `${up} (${one.health.status === 'starting' ? 'health: starting' : one.health.status})`;
    case 'paused':
      return `${up} (Paused)`;
    case 'restarting':
      return `Restarting (${one.exitCode ?? 0}) ${ago}`;
    case 'exited':
      return `Exited (${one.exitCode ?? 'unknown'}) ${ago}`;
    case 'dead':
      return 'Dead';
    case 'created':
      return 'Created';
  }
}

/** `0.0.0.0:8001->80/tcp, :::8001->80/tcp` */
export function portsText(ports: ContainerInspect['ports']): string {
  return ports.map((one) => `${one.hostAddress}:${one.hostPort}->${one.containerPort}/${one.protocol}`).join(', ');
}
