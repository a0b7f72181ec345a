import type { Command } from 'commander';
import type { Image } from '../../index';
import type { Context } from '../context';
import { UsageError } from '../context';

/** `load [-i FILE]`: the images of an archive are here, under the names that it gives them. */
export function configure(command: Command, context: Context): void {
  command
    .option('-i, --input <file>', 'read from a file, or a folder with an OCI image layout, instead of stdin')
    .option('-q, --quiet', 'no progress (there is none)')
    .action(async ({ input }: { input?: string }) => {
      if (input === undefined && context.stdin.isTTY) {
        throw new UsageError('load: stdin is a terminal: give the archive with -i or `< FILE`');
      }
      const images = await context.runtime().load(input ?? context.stdin);
      images.forEach((image) => context.stdout.write(`${linesOf(image).join('\n')}\n`));
    });
}

function linesOf({ id, references }: Image): string[] {
  return references.length > 0 ? references.map((one) => `Loaded image: ${one}`) : [`Loaded image ID: ${id}`];
}
