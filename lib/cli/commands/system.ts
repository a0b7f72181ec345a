import type { Command } from 'commander';
import type { Context } from '../context';
import { ExitStatus } from '../context';
import { describe } from '../failure';
import { runPrune } from '../pruning';

interface PruneFlags {
  all?: boolean;
  force?: boolean;
  volumes?: boolean;
}

/** `system prune`, `system restore` and `system verify`: the data folder as a whole. */
export function configure(command: Command, context: Context): void {
  command
    .command('prune')
    .description('remove what nobody needs')
    .option('-a, --all', 'all images that no container was made of, not only those without a name')
    .option('-f, --force', 'do not ask')
    .option('--volumes', 'anonymous volumes as well')
    .action(async ({ all, force, volumes }: PruneFlags) => {
      const lines = [
        'all stopped containers',
        'all networks not used by at least one container',
        ...(volumes ? ['all anonymous volumes not used by at least one container'] : []),
        all ? 'all images without at least one container associated to them' : 'all dangling images',
      ];
      await runPrune(context, 'system prune', {
        force,
        warning: `This will remove:\n${lines.map((line) => `  - ${line}\n`).join('')}`,
        options: { containers: true, networks: true, images: all ? 'all' : true, volumes: volumes ?? false },
      });
    });
  command
    .command('restore')
    .description('start containers by their restart policy, after a boot')
    .action(async () => {
      const { started, failed } = await context.runtime().restore();
      started.forEach(({ name }) => context.stdout.write(`${name}\n`));
      failed.forEach(({ name, error }) => context.stderr.write(`Error: ${name}: ${describe(error)}\n`));
      if (failed.length > 0) throw new ExitStatus(1);
    });
  command
    .command('verify')
    .description('look for damage of blobs and layers')
    .option('--repair', 'pull damaged blobs again, and unpack damaged layers again')
    .action(async ({ repair }: { repair?: boolean }) => {
      const { damaged } = await context.runtime().verify({ repair: repair ?? false });
      for (const { kind, id, reason, repaired, error } of damaged) {
        const why = error === undefined ? '' : ` (not repaired: ${error})`;
        context.stdout.write(`${repaired ? 'repaired' : 'damaged'} ${kind} ${id}: ${reason}${why}\n`);
      }
      if (damaged.some(({ repaired }) => !repaired)) throw new ExitStatus(1);
    });
}
