import type { Command } from 'commander';
import type { Context } from '../context';
import { runPrune } from '../pruning';

/** `image prune`. */
export function configure(command: Command, context: Context): void {
  command
    .command('prune')
    .description('remove images without a name')
    .option('-a, --all', 'all images that no container was made of')
    .option('-f, --force', 'do not ask')
    .action(async ({ all, force }: { all?: boolean; force?: boolean }) => {
      const which = all ? 'all images without at least one container associated to them' : 'all dangling images';
      await runPrune(context, 'image prune', {
        force,
        warning: `This will remove ${which}.`,
        options: { images: all ? 'all' : true },
      });
    });
}
