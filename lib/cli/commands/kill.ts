import type { Command } from 'commander';
import type { Context } from '../context';
import { forEachContainer } from '../each';

/** `kill CONTAINER...`: the signal is sent to its first process. */
export function configure(command: Command, context: Context): void {
  command
    .option('-s, --signal <signal>', 'the signal', 'SIGKILL')
    .argument('<container...>')
    .action((names: string[], flags: { signal: string }) =>
      forEachContainer(context, names, (container) => container.kill(flags.signal)),
    );
}
