import type { Command } from 'commander';
import type { Context } from '../context';
import { forEachContainer } from '../each';

/** `kill CONTAINER...`: the signal is sent to its first process. */
export function configure(command: Command, context: Context): void {
  command
    .option('-s, --signal <signal>', 'the signal', 'SIGKILL')
    .argument('<container...>')
    .action((names: string[], flags: { signal: string }) =>
      forEachContainer(context, names, (container) => container.kill(signalName(flags.signal))),
    );
}

/** `KILL`, `kill` and `SIGKILL` are one; a number is passed on as it is. */
function signalName(text: string): string {
  return /^\d+$/.test(text) ? text : `SIG${text.toUpperCase().replace(/^SIG/, '')}`;
}
