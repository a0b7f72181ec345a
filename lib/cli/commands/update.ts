import type { Command } from 'commander';
import type { UpdateOptions } from '../../index';
import type { Context } from '../context';
import { UsageError } from '../context';
import { forEachContainer } from '../each';
import { type LimitFlags, limitOptions, restartOption } from '../flag-values';

interface UpdateFlags extends LimitFlags {
  restart?: string;
}

/** `update [flags] CONTAINER...`: what no flag names stays. */
export function configure(command: Command, context: Context): void {
  command
    .option('-c, --cpu-shares <shares>', 'relative weight of CPU time')
    .option('--cpus <number>', 'number of CPUs')
    .option('--cpuset-cpus <list>', 'CPUs it may run on (0-3, 0,1)')
    .option('-m, --memory <size>', 'memory limit (512m)')
    .option('--memory-reservation <size>', 'soft memory limit')
    .option('--memory-swap <size>', 'memory and swap together; -1 for no limit')
    .option('--pids-limit <number>', 'most processes; -1 for no limit')
    .option('--restart <policy>', 'no, always, unless-stopped, on-failure[:retries]')
    .argument('<container...>')
    .action(async (names: string[], flags: UpdateFlags) => {
      const options = updateOptions(flags);
      await forEachContainer(context, names, (container) => container.update(options));
    });
}

/** @throws UsageError when no flag was given, as in Docker */
export function updateOptions(flags: UpdateFlags): UpdateOptions {
  const options: UpdateOptions = {
    ...limitOptions(flags),
    restart: flags.restart === undefined ? undefined : restartOption(flags.restart),
  };
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  if (given.length === 0) throw new UsageError('you must provide one or more flags when using this command');
  return Object.fromEntries(given);
}
