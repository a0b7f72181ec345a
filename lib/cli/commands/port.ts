import type { Command } from 'commander';
import type { Context } from '../context';
import { UsageError } from '../context';

/** `port CONTAINER [PORT[/PROTOCOL]]`: where its ports are published. */
export function configure(command: Command, context: Context): void {
  command
    .argument('<container>')
    .argument('[port]')
    .action(async (name: string, wanted: string | undefined) => {
      const container = await context.runtime().container(name);
      const { ports } = await container.inspect();
      if (wanted === undefined) {
        for (const one of ports) {
          context.stdout.write(`${one.containerPort}/${one.protocol} -> ${one.hostAddress}:${one.hostPort}\n`);
        }
        return;
      }
      const key = wanted.includes('/') ? wanted : `${wanted}/tcp`;
      const found = ports.filter((one) => `${one.containerPort}/${one.protocol}` === key);
      if (found.length === 0) throw new UsageError(`No public port '${key}' published for ${name}`);
      found.forEach((one) => context.stdout.write(`${one.hostAddress}:${one.hostPort}\n`));
    });
}
