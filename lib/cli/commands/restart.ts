import type { Command } from 'commander';
import type { Context } from '../context';
import { configureStopping } from './stop';

/** `restart CONTAINER...`: stopped as `stop` does, and started again. */
export function configure(command: Command, context: Context): void {
  configureStopping(command, context, (container, options) => container.restart(options));
}
