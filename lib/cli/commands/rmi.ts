import type { Command } from 'commander';
import type { Context } from '../context';
import { forEach } from '../each';

/** `rmi IMAGE...`: that name is gone, and with an image's last one, or by its id, the image. */
export function configure(command: Command, context: Context): void {
  command
    .option('-f, --force', 'even when a container uses it')
    .argument('<image...>')
    .action(async (names: string[], flags: { force?: boolean }) => {
      await forEach(context, names, async (name) => {
        const image = await context.runtime().image(name);
        const { untagged, deleted } = await image.remove({ force: flags.force });
        return [...untagged.map((one) => `Untagged: ${one}`), ...deleted.map((one) => `Deleted: ${one}`)].join('\n');
      });
    });
}
