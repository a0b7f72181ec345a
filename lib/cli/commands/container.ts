import type { Command } from 'commander';
import type { Context } from '../context';
import { runPrune } from '../pruning';

/** `container prune`. */
export function configure(command: Command, context: Context): void {
  command
    .command('prune')
    .description('remove containers that do not run')
    .option('-f, --force', 'do not ask')
    .action(async ({ force }: { force?: boolean }) => {
      await runPrune(context, 'container prune', {
        force,
        warning: 'This will remove all stopped containers.',
        options: { containers: true },
      });
    });
}
