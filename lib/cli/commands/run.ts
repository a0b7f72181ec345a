import { writeFileSync } from 'node:fs';

import type { Command } from 'commander';
import type { Container } from '../../index';
import type { Context } from '../context';
import { ExitStatus } from '../context';
import type { CreateFlags } from '../create-flags';
import { createOptions, declareCreateFlags } from '../create-flags';
import { attachAndWait } from '../attached';
import { detachKeys } from '../detach-keys';
import { progressReporter } from '../progress';
import { boolean } from '../flag-values';
import { checkTerminal } from '../terminal';

type RunFlags = CreateFlags & { detach?: boolean; detachKeys?: string; sigProxy: boolean };

/** `run IMAGE [COMMAND]`: attached, its exit code is the container's; under -d it prints the id. */
export function configure(command: Command, context: Context): void {
  declareCreateFlags(command)
    .option('-d, --detach', 'run in the background and print the id')
    .option('--detach-keys <keys>', 'keys that leave it running (ctrl-p,ctrl-q)')
    .option('--sig-proxy <boolean>', 'pass signals on to the container (not under a terminal)', boolean, true)
    .option('--no-sig-proxy', 'the same as --sig-proxy=false')
    .argument('<image>')
    .argument('[command...]')
    .passThroughOptions()
    .action(async (image: string, argv: string[], flags: RunFlags) => {
      const keys = detachKeys(flags.detachKeys, context.env);
      if (!flags.detach) checkTerminal(context, flags);
      const container = await createContainer(context, image, argv, flags);
      if (flags.detach) {
        await startOrRemove(container, () => container.start());
        context.stdout.write(`${container.id}\n`);
        return;
      }
      const status = await startOrRemove(container, () =>
        attachAndWait(context, container, {
          stdin: flags.interactive ?? false,
          proxySignals: flags.sigProxy,
          start: true,
          tty: flags.tty ?? false,
          keys,
        }),
      );
      throw new ExitStatus(status);
    });
}

/** A container made from flags; the pull, if one is needed, is shown on stderr, so that stdout stays the container's. */
export async function createContainer(
  context: Context,
  image: string,
  argv: readonly string[],
  flags: CreateFlags,
): Promise<Container> {
  const options = createOptions(flags, argv, context.env);
  if (!flags.quiet) options.onPullProgress = progressReporter(context.stderr);
  const container = await context.runtime().create(image, options);
  if (flags.cidfile !== undefined) {
    // Exclusive, as Docker: an old file would be taken for this container's.
    await startOrRemove(container, async () => writeFileSync(flags.cidfile!, container.id, { flag: 'wx' }));
  }
  return container;
}

// Docker leaves a container that could not start behind, in state Created, for `docker rm`; nothing is left behind here,
// as the library promises: the error says all there is to know.
async function startOrRemove<T>(container: Container, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    await container.remove({ force: true, volumes: true }).catch(() => undefined);
    throw error;
  }
}
