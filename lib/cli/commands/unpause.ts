import type { Command } from 'commander';
import type { Context } from '../context';
import { forEachContainer } from '../each';

/** `unpause CONTAINER...` */
export function configure(command: Command, context: Context): void {
  command
    .argument('<container...>')
    .action((names: string[]) => forEachContainer(context, names, (container) => container.unpause()));
}
