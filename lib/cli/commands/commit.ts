import { type Command, Option } from 'commander';
import type { Context } from '../context';
import { collect } from '../flag-values';

interface CommitFlags {
  author?: string;
  change?: string[];
  message?: string;
  pause?: boolean;
  'pause=false'?: true;
}

/** `commit CONTAINER [REPOSITORY[:TAG]]`: an image of what was changed in its files; prints its id. */
export function configure(command: Command, context: Context): void {
  command
    .option('-a, --author <author>', 'who made it')
    .option('-c, --change <instruction>', 'apply a Dockerfile instruction to the image', collect)
    .option('-m, --message <text>', 'what its history says')
    .option('-p, --pause', 'a running container stands still for a moment (the default, where the host can)')
    .option('--no-pause', 'it runs on meanwhile')
    // Docker's older form of it; commander takes it for a name of its own.
    .addOption(new Option('--pause=false').hideHelp())
    .argument('<container>')
    .argument('[reference]')
    .action(async (name: string, reference: string | undefined, flags: CommitFlags) => {
      const { author, change, message } = flags;
      const pause = flags['pause=false'] ? false : flags.pause;
      const container = await context.runtime().container(name);
      const image = await container.commit({
        ...(reference === undefined ? {} : { reference }),
        ...(author === undefined ? {} : { author }),
        ...(change === undefined ? {} : { changes: change }),
        ...(message === undefined ? {} : { message }),
        ...(pause === undefined ? {} : { pause }),
      });
      context.stdout.write(`${image.id}\n`);
    });
}
