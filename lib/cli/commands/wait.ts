import type { Command } from 'commander';
import { exitCodeOf } from '../attached';
import type { Context } from '../context';
import { forEach } from '../each';

/** `wait CONTAINER...`: until each has ended; prints their exit codes. */
export function configure(command: Command, context: Context): void {
  command.argument('<container...>').action(async (names: string[]) => {
    await forEach(context, names, async (name) => {
      const container = await context.runtime().container(name);
      return String(exitCodeOf(await container.wait()));
    });
  });
}
