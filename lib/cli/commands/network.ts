import type { Command } from 'commander';
import type { CreateNetworkOptions, NetworkInspect, NetworksOptions } from '../../index';
import { isDinghyError } from '../../index';
import type { Context } from '../context';
import { UsageError } from '../context';
import { forEach } from '../each';
import { collect, danglingFilter, parseFilters } from '../filters';
import { keyValues, number } from '../flag-values';
import { shortId } from '../format';
import { inspectEach } from '../inspecting';
import { runPrune } from '../pruning';
import type { Column, Row } from '../table';
import { printRows } from '../table';

const columns: readonly Column[] = [
  ['NETWORK ID', 'ID'],
  ['NAME', 'Name'],
  ['DRIVER', 'Driver'],
  ['SCOPE', 'Scope'],
];

/** `network connect|create|disconnect|inspect|ls|prune|rm`. */
export function configure(command: Command, context: Context): void {
  configureConnect(command, context);
  configureCreate(command, context);
  configureInspect(command, context);
  configureList(command, context);
  command
    .command('prune')
    .description('remove networks that no container is on')
    .option('-f, --force', 'do not ask')
    .action(async ({ force }: { force?: boolean }) => {
      await runPrune(context, 'network prune', {
        force,
        warning: 'This will remove all custom networks not used by at least one container.',
        options: { networks: true },
      });
    });
  command
    .command('rm')
    .alias('remove')
    .description('remove networks that no container is on')
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
    await (await context.runtime().network(name)).remove();
  } catch (error) {
    if (!force || !isDinghyError(error) || error.code !== 'ERR_NETWORK_NOT_FOUND') throw error;
  }
}

function configureConnect(command: Command, context: Context): void {
  command
    .command('connect')
    .description('put a container on one more network')
    .option('--alias <name>', 'one more name of it there', collect)
    .option('--ip <address>', 'its address there')
    .argument('<network>')
    .argument('<container>')
    .action(async (name: string, container: string, { alias, ip }: { alias?: string[]; ip?: string }) => {
      const network = await context.runtime().network(name);
      await network.connect(container, {
        ...(alias === undefined ? {} : { aliases: alias }),
        ...(ip === undefined ? {} : { address: ip }),
      });
    });
  command
    .command('disconnect')
    .description('take a container off a network')
    .option('-f, --force', 'one that is not on it is no error')
    .argument('<network>')
    .argument('<container>')
    .action(async (name: string, container: string, { force }: { force?: boolean }) => {
      const network = await context.runtime().network(name);
      const { id } = await context.runtime().container(container);
      if (force && !(await network.inspect()).containers.some((each) => each.id === id)) return;
      await network.disconnect(id);
    });
}

interface CreateFlags {
  driver: string;
  gateway?: string;
  internal?: boolean;
  ipv6?: boolean;
  label?: string[];
  opt?: string[];
  subnet?: string;
}

function configureCreate(command: Command, context: Context): void {
  command
    .command('create')
    .description('make a network')
    .option('-d, --driver <driver>', 'bridge, the only one', 'bridge')
    .option('--gateway <address>', "the host's address on it")
    .option('--internal', 'no way out to other networks, and none in')
    .option('--ipv6', 'IPv6 addresses as well')
    .option('--label <name=value>', 'set a label', collect)
    .option('-o, --opt <name=value>', 'mtu', collect)
    .option('--subnet <subnet>', 'its addresses: 10.200.1.0/24')
    .argument('[name]')
    .action(async (name: string | undefined, flags: CreateFlags) => {
      if (flags.driver !== 'bridge') throw new UsageError(`--driver is bridge, not "${flags.driver}"`);
      const { gateway, internal, ipv6, subnet } = flags;
      const options: CreateNetworkOptions = {
        ...{ name, gateway, internal, ipv6, subnet },
        labels: keyValues(flags.label ?? []),
        ...driverOptions(flags.opt),
        detached: true,
      };
      const given = Object.entries(options).filter(([, value]) => value !== undefined);
      const network = await context.runtime().createNetwork(Object.fromEntries(given));
      context.stdout.write(`${network.id}\n`);
    });
}

/** Docker's name of the option, and a short one. */
function driverOptions(values: readonly string[] = []): Pick<CreateNetworkOptions, 'mtu'> {
  const { mtu: short, 'com.docker.network.driver.mtu': mtu = short, ...others } = keyValues(values);
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) throw new UsageError(`--opt takes mtu=, not "${unknown}"`);
  return mtu === undefined ? {} : { mtu: number(mtu, '--opt mtu') };
}

function configureInspect(command: Command, context: Context): void {
  command
    .command('inspect')
    .description('tell of networks in JSON')
    .option('-f, --format <template>', "'{{.Name}}', '{{json .Containers}}'")
    .argument('<name...>')
    .action(async (names: string[], { format }: { format?: string }) => {
      await inspectEach(context, names, format, async (name) =>
        inDockersWords(await (await context.runtime().network(name)).inspect()),
      );
    });
}

function configureList(command: Command, context: Context): void {
  command
    .command('ls')
    .alias('list')
    .description('list networks')
    .option('-f, --filter <filter>', 'dangling=, driver=, id=, label=, name=', collect)
    .option('--format <template>', "'{{.Name}}', 'table {{.ID}}\\t{{.Labels}}', json")
    .option('--no-trunc', 'whole ids')
    .option('-q, --quiet', 'only ids')
    .action(async (flags: { filter?: string[]; format?: string; quiet?: boolean; trunc: boolean }) => {
      const { filters, drivers } = settleFilters(flags.filter ?? []);
      const networks = await context.runtime().networks({ filters });
      const shown = drivers === undefined || drivers.includes('bridge') ? networks : [];
      const idOf = (id: string): string => (flags.trunc ? shortId(id) : id);
      if (flags.quiet) {
        for (const { id } of shown) context.stdout.write(`${idOf(id)}\n`);
        return;
      }
      const rows = await Promise.all(
        shown.map(async (network) => ({
          ...{ ID: idOf(network.id), Name: network.name, Driver: 'bridge', Scope: 'local' },
          // A look at each: only where a template may show more.
          ...(flags.format === undefined ? {} : detailsOf(await network.inspect())),
        })),
      );
      printRows(context.stdout, columns, rows, flags.format);
    });
}

function settleFilters(values: readonly string[]): { filters: NetworksOptions['filters']; drivers?: string[] } {
  const { driver, dangling, ...rest } = parseFilters(values, {
    dangling: 'dangling',
    driver: 'driver',
    id: 'id',
    label: 'label',
    name: 'name',
  });
  return {
    filters: { ...rest, ...danglingFilter(dangling) },
    ...(driver === undefined ? {} : { drivers: driver }),
  };
}

function detailsOf({ created, internal, labels, subnet6 }: NetworkInspect): Row {
  const text = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  return {
    CreatedAt: created.toISOString(),
    Internal: String(internal),
    IPv6: String(subnet6 !== undefined),
    Labels: text.join(','),
  };
}

/** What scripts that read `docker network inspect` look for. */
function inDockersWords(network: NetworkInspect): Record<string, unknown> {
  const { name, id, created, subnet, gateway, subnet6, gateway6, internal, labels, bridge, mtu } = network;
  const containers = network.containers.map(
    (container) =>
      [
        container.id,
        { Name: container.name, IPv4Address: container.address, IPv6Address: container.address6 ?? '' },
      ] as const,
  );
  return {
    Name: name,
    Id: id,
    Created: created.toISOString(),
    Scope: 'local',
    Driver: 'bridge',
    EnableIPv4: true,
    EnableIPv6: subnet6 !== undefined,
    IPAM: {
      Driver: 'default',
      Options: null,
      Config: [
        { Subnet: subnet, Gateway: gateway },
        ...(subnet6 === undefined ? [] : [{ Subnet: subnet6, Gateway: gateway6 }]),
      ],
    },
    Internal: internal,
    Containers: Object.fromEntries(containers),
    Options: {
      'com.docker.network.bridge.name': bridge,
      ...(mtu === undefined ? {} : { 'com.docker.network.driver.mtu': String(mtu) }),
    },
    Labels: labels,
  };
}
