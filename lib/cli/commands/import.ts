import type { Command } from 'commander';
import type { Context } from '../context';
import { UsageError } from '../context';
import { collect } from '../flag-values';

interface ImportFlags {
  change?: string[];
  message?: string;
  platform?: string;
}

/** `import FILE|- [REPOSITORY[:TAG]]`: an image of a root file system's archive, or of a folder; prints its id. */
export function configure(command: Command, context: Context): void {
  command
    .option('-c, --change <instruction>', 'apply a Dockerfile instruction to the image', collect)
    .option('-m, --message <text>', 'what its history says')
    .option('--platform <platform>', 'os/arch[/variant]')
    .argument('<file>')
    .argument('[reference]')
    .action(async (file: string, reference: string | undefined, flags: ImportFlags) => {
      if (/^https?:\/\//.test(file)) {
        throw new UsageError(`a URL is not fetched in this version: curl -fL ${file} | dinghy import -`);
      }
      const image = await context.runtime().import(file === '-' ? context.stdin : file, {
        ...(reference === undefined ? {} : { reference }),
        ...(flags.change === undefined ? {} : { changes: flags.change }),
        ...(flags.message === undefined ? {} : { message: flags.message }),
        ...(flags.platform === undefined ? {} : { platform: flags.platform }),
      });
      context.stdout.write(`${image.id}\n`);
    });
}
