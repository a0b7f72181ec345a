import type { Command } from 'commander';
import type { Context } from '../context';

/** `tag IMAGE REFERENCE`: the reference names that image from now on. */
export function configure(command: Command, context: Context): void {
  command
    .argument('<image>')
    .argument('<reference>')
    .action(async (name: string, reference: string) => {
      const image = await context.runtime().image(name);
      await image.tag(reference);
    });
}
