import type { Command } from 'commander';
import type { Context } from '../context';
import type { CreateFlags } from '../create-flags';
import { declareCreateFlags } from '../create-flags';
import { createContainer } from './run';

/** `create IMAGE [COMMAND]`: made, not started; prints the id. */
export function configure(command: Command, context: Context): void {
  declareCreateFlags(command)
    .argument('<image>')
    .argument('[command...]')
    .passThroughOptions()
    .action(async (image: string, argv: string[], flags: CreateFlags) => {
      const container = await createContainer(context, image, argv, flags);
      context.stdout.write(`${container.id}\n`);
    });
}
