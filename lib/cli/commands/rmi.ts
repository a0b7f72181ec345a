import type { Command } from 'commander';
import type { Context } from '../context';
import { forEach } from '../each';

/** `rmi IMAGE...`: that name is gone, and with an image's last one, or by its id, the image. */
export function configure(command: Command, context: Context): void {
  command
    .option('-f, --force', 'even when a container uses it, or when it is damaged')
    .argument('<image...>')
    .action(async (names: string[], flags: { force?: boolean }) => {
      await forEach(context, names, async (name) => {
        const { untagged, deleted } = await context.runtime().removeImage(name, { force: flags.force ?? false });
        return [...untagged.map((one) => `Untagged: ${one}`), ...deleted.map((one) => `Deleted: ${one}`)].join('\n');
      });
    });
}
