import type { Command } from 'commander';
import { attachAndWait } from '../attached';
import type { Context } from '../context';
import { ExitStatus, UsageError } from '../context';
import { forEachContainer } from '../each';

interface StartFlags {
  attach?: boolean;
  interactive?: boolean;
}

/** `start CONTAINER...`; with -a or -i one container, attached, its exit code ours. */
export function configure(command: Command, context: Context): void {
  command
    .option('-a, --attach', 'relay its output and signals')
    .option('-i, --interactive', 'relay stdin too')
    .argument('<container...>')
    .action(async (names: string[], flags: StartFlags) => {
      if (!flags.attach && !flags.interactive) {
        await forEachContainer(context, names, (container) => container.start());
        return;
      }
      if (names.length > 1) throw new UsageError('you cannot start and attach multiple containers at once');
      const container = await context.runtime().container(names[0]!);
      const stdin = flags.interactive ?? false;
      throw new ExitStatus(await attachAndWait(context, container, { stdin, proxySignals: true, start: true }));
    });
}
