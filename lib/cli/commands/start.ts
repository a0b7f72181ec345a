import type { Command } from 'commander';
import { attachAndWait } from '../attached';
import type { Context } from '../context';
import { ExitStatus, UsageError } from '../context';
import { detachKeys } from '../detach-keys';
import { forEachContainer } from '../each';
import { boolean } from '../flag-values';
import { checkTerminal } from '../terminal';

interface StartFlags {
  attach?: boolean;
  detachKeys?: string;
  interactive?: boolean;
  sigProxy: boolean;
}

/** `start CONTAINER...`; with -a or -i one container, attached, its exit code ours. */
export function configure(command: Command, context: Context): void {
  command
    .option('-a, --attach', 'relay its output and signals')
    .option('--detach-keys <keys>', 'keys that leave it running (ctrl-p,ctrl-q)')
    .option('-i, --interactive', 'relay stdin too')
    .option('--sig-proxy <boolean>', 'pass signals on to the container (not under a terminal)', boolean, true)
    .option('--no-sig-proxy', 'the same as --sig-proxy=false')
    .argument('<container...>')
    .action(async (names: string[], flags: StartFlags) => {
      if (!flags.attach && !flags.interactive) {
        await forEachContainer(context, names, (container) => container.start());
        return;
      }
      if (names.length > 1) throw new UsageError('you cannot start and attach multiple containers at once');
      const container = await context.runtime().container(names[0]!);
      const { tty } = await container.inspect();
      const options = {
        stdin: flags.interactive ?? false,
        proxySignals: flags.sigProxy,
        start: true,
        tty,
        keys: detachKeys(flags.detachKeys, context.env),
      };
      checkTerminal(context, { tty, interactive: options.stdin });
      throw new ExitStatus(await attachAndWait(context, container, options));
    });
}
