import type { Command } from 'commander';
import type { Context } from '../context';
import { forEach } from '../each';

/** `rmi IMAGE...`: its references are gone, and what only they held. */
export function configure(command: Command, context: Context): void {
  command
    .option('-f, --force', 'even when a container uses it')
    .argument('<image...>')
    .action(async (names: string[], flags: { force?: boolean }) => {
      await forEach(context, names, async (name) => {
        const image = await context.runtime().image(name);
        await image.remove({ force: flags.force });
        return [...image.references.map((one) => `Untagged: ${one}`), `Deleted: ${image.id}`].join('\n');
      });
    });
}
