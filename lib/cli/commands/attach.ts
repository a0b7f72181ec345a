import type { Command } from 'commander';
import { attachAndWait } from '../attached';
import type { Context } from '../context';
import { ExitStatus, UsageError } from '../context';

/** `attach CONTAINER`: its output from now on, its exit code ours. */
export function configure(command: Command, context: Context): void {
  command
    .option('--no-stdin', 'do not relay stdin')
    .option('--no-sig-proxy', 'do not pass signals on to the container')
    .argument('<container>')
    .action(async (name: string, flags: { stdin: boolean; sigProxy: boolean }) => {
      const container = await context.runtime().container(name);
      const { status } = await container.inspect();
      if (status !== 'running')
        throw new UsageError(`you cannot attach to a container that is ${status}: start it first`);
      const options = { stdin: flags.stdin ? undefined : false, proxySignals: flags.sigProxy, start: false };
      throw new ExitStatus(await attachAndWait(context, container, options));
    });
}
