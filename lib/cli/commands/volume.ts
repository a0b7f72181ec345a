import type { Command } from 'commander';
import type { Volume, VolumeInspect, VolumesOptions } from '../../index';
import { isDinghyError } from '../../index';
import type { Context } from '../context';
import { UsageError } from '../context';
import { forEach } from '../each';
import { collect, danglingFilter, parseFilters } from '../filters';
import { keyValues } from '../flag-values';
import { inspectEach } from '../inspecting';
import { runPrune } from '../pruning';
import type { Column, Row } from '../table';
import { printRows } from '../table';

const columns: readonly Column[] = [
  ['DRIVER', 'Driver'],
  ['VOLUME NAME', 'Name'],
];

/** `volume create|inspect|ls|prune|rm`. */
export function configure(command: Command, context: Context): void {
  configureCreate(command, context);
  configureInspect(command, context);
  configureList(command, context);
  configurePrune(command, context);
  command
    .command('rm')
    .alias('remove')
    .description('remove volumes that no container has')
    .option('-f, --force', 'one that is not there is no error')
    .argument('<name...>')
    .action(async (names: string[], { force = false }: { force?: boolean }) => {
      await forEach(context, names, async (name) => {
        await remove(context, name, force);
        return name;
      });
    });
}

async function remove(context: Context, name: string, force: boolean): Promise<void> {
  try {
    await (await context.runtime().volume(name)).remove({ force });
  } catch (error) {
    if (!force || !isDinghyError(error) || error.code !== 'ERR_VOLUME_NOT_FOUND') throw error;
  }
}

function configureCreate(command: Command, context: Context): void {
  command
    .command('create')
    .description('make a volume')
    .option('-d, --driver <driver>', 'local, the only one', 'local')
    .option('--label <name=value>', 'set a label', collect)
    .argument('[name]')
    .action(async (name: string | undefined, flags: { driver: string; label?: string[] }) => {
      if (flags.driver !== 'local') throw new UsageError(`--driver is local, not "${flags.driver}"`);
      const volume = await context
        .runtime()
        .createVolume({ ...(name === undefined ? {} : { name }), labels: keyValues(flags.label ?? []) });
      context.stdout.write(`${volume.name}\n`);
    });
}

function configureInspect(command: Command, context: Context): void {
  command
    .command('inspect')
    .description('tell of volumes in JSON')
    .option('-f, --format <template>', "'{{.Mountpoint}}', '{{json .Labels}}'")
    .argument('<name...>')
    .action(async (names: string[], { format }: { format?: string }) => {
      await inspectEach(context, names, format, async (name) =>
        inDockersWords(await (await context.runtime().volume(name)).inspect()),
      );
    });
}

function configureList(command: Command, context: Context): void {
  command
    .command('ls')
    .alias('list')
    .description('list volumes')
    .option('-f, --filter <key=value>', 'dangling, driver, label, name', collect)
    .option('--format <template>', "'{{.Name}}', json")
    .option('-q, --quiet', 'names only')
    .action(async (flags: { filter?: string[]; format?: string; quiet?: boolean }) => {
      const { filters, drivers } = settleFilters(flags.filter ?? []);
      const volumes = await context.runtime().volumes({ filters });
      const shown = drivers === undefined || drivers.includes('local') ? volumes : [];
      if (flags.quiet) {
        for (const { name } of shown) context.stdout.write(`${name}\n`);
        return;
      }
      // Each look at a volume goes through all containers: only where a template may show more than names.
      const rows = await Promise.all(
        shown.map(async (volume) => (flags.format === undefined ? nameOnly(volume) : toRow(await volume.inspect()))),
      );
      printRows(context.stdout, columns, rows, flags.format);
    });
}

function configurePrune(command: Command, context: Context): void {
  command
    .command('prune')
    .description('remove anonymous volumes that no container has')
    .option('-a, --all', 'named ones as well')
    .option('-f, --force', 'do not ask')
    .action(async ({ all, force }: { all?: boolean; force?: boolean }) => {
      const which = all ? 'all volumes' : 'anonymous local volumes';
      await runPrune(context, 'volume prune', {
        force,
        warning: `This will remove ${which} not used by at least one container.`,
        options: { volumes: all ? 'all' : true },
      });
    });
}

function settleFilters(values: readonly string[]): { filters: VolumesOptions['filters']; drivers?: string[] } {
  const { driver, dangling, ...rest } = parseFilters(values, {
    dangling: 'dangling',
    driver: 'driver',
    label: 'label',
    name: 'name',
  });
  return {
    filters: { ...rest, ...danglingFilter(dangling) },
    ...(driver === undefined ? {} : { drivers: driver }),
  };
}

function nameOnly({ name }: Volume): Row {
  return { Driver: 'local', Name: name };
}

function toRow({ name, path, labels }: VolumeInspect): Row {
  const text = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  return { Driver: 'local', Name: name, Mountpoint: path, Scope: 'local', Labels: text.join(',') };
}

/** What scripts that read `docker volume inspect` look for. */
function inDockersWords({ name, path, created, labels, anonymous, usedBy }: VolumeInspect): Record<string, unknown> {
  return {
    CreatedAt: created.toISOString(),
    Driver: 'local',
    Labels: labels,
    Mountpoint: path,
    Name: name,
    Options: null,
    Scope: 'local',
    Anonymous: anonymous,
    UsedBy: usedBy,
  };
}
