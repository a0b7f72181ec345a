import type { Command } from 'commander';
import type { Context } from '../context';
import { ellipsis, humanDuration, humanSize } from '../format';
import { printRows } from '../table';

/** `history IMAGE`: how it was built, the newest step first. */
export function configure(command: Command, context: Context): void {
  command
    .option('--format <template>', "'{{.CreatedBy}}', json")
    .option('--no-trunc', 'whole commands')
    .argument('<image>')
    .action(async (name: string, flags: { format?: string; trunc: boolean }) => {
      const image = await context.runtime().image(name);
      const rows = [...(await image.history())].reverse().map((entry) => ({
        CreatedSince: entry.created ? `${humanDuration(context.now().getTime() - entry.created.getTime())} ago` : 'N/A',
        CreatedBy: flags.trunc ? ellipsis(entry.createdBy ?? '', 45) : (entry.createdBy ?? ''),
        Size: humanSize(entry.size),
        Comment: entry.comment ?? '',
      }));
      printRows(
        context.stdout,
        [
          ['CREATED', 'CreatedSince'],
          ['CREATED BY', 'CreatedBy'],
          ['SIZE', 'Size'],
          ['COMMENT', 'Comment'],
        ],
        rows,
        flags.format,
      );
    });
}
