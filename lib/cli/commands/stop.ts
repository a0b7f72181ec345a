import type { Command } from 'commander';
import type { Container, StopOptions } from '../../index';
import type { Context } from '../context';
import { forEachContainer } from '../each';
import { number } from '../flag-values';

interface StopFlags {
  signal?: string;
  time?: string;
  timeout?: string;
}

/** `stop CONTAINER...`: its stop signal, then SIGKILL when the time is over. */
export function configure(command: Command, context: Context): void {
  configureStopping(command, context, (container, options) => container.stop(options));
}

/** The flags of `stop`, which `restart` shares. */
export function configureStopping(
  command: Command,
  context: Context,
  work: (container: Container, options: StopOptions) => Promise<void>,
): void {
  command
    .option('-s, --signal <signal>', 'instead of its stop signal')
    .option('-t, --time <seconds>', 'seconds before it is killed (default: its own, else 10)')
    .option('--timeout <seconds>', 'the same as --time')
    .argument('<container...>')
    .action(async (names: string[], flags: StopFlags) => {
      const seconds = number(flags.timeout ?? flags.time, '--time');
      const timeoutMs = seconds === undefined ? undefined : seconds * 1000;
      await forEachContainer(context, names, (container) => work(container, { stopSignal: flags.signal, timeoutMs }));
    });
}
