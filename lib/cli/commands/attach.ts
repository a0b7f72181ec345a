import type { Command } from 'commander';
import { attachAndWait } from '../attached';
import type { Context } from '../context';
import { ExitStatus, UsageError } from '../context';
import { detachKeys } from '../detach-keys';
import { boolean } from '../flag-values';
import { checkTerminal } from '../terminal';

/** `attach CONTAINER`: its output from now on, its exit code ours. */
export function configure(command: Command, context: Context): void {
  command
    .option('--detach-keys <keys>', 'keys that leave it running (ctrl-p,ctrl-q)')
    .option('--no-stdin', 'do not relay stdin')
    .option('--sig-proxy <boolean>', 'pass signals on to the container (not under a terminal)', boolean, true)
    .option('--no-sig-proxy', 'the same as --sig-proxy=false')
    .argument('<container>')
    .action(async (name: string, flags: { detachKeys?: string; stdin: boolean; sigProxy: boolean }) => {
      const keys = detachKeys(flags.detachKeys, context.env);
      const container = await context.runtime().container(name);
      const { status, tty } = await container.inspect();
      if (status !== 'running')
        throw new UsageError(`you cannot attach to a container that is ${status}: start it first`);
      checkTerminal(context, { tty, interactive: flags.stdin });
      const stdin = flags.stdin ? undefined : false;
      const options = { stdin, proxySignals: flags.sigProxy, start: false, tty, keys };
      throw new ExitStatus(await attachAndWait(context, container, options));
    });
}
