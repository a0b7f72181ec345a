import type { Command } from 'commander';
import type { Context } from '../context';

/** `rename CONTAINER NEW_NAME`: prints nothing, as Docker. */
export function configure(command: Command, context: Context): void {
  command
    .argument('<container>')
    .argument('<new name>')
    .action(async (name: string, newName: string) => {
      const container = await context.runtime().container(name);
      await container.rename(newName);
    });
}
