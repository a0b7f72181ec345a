import type { Container, WaitResult } from '../index';
import type { Context } from './context';
import { relay } from './streams';
import { openTerminal, terminalSize } from './terminal';

export interface AttachedOptions {
  /** Relay our stdin to the container's; undefined: if it was made with an open one. */
  stdin: boolean | undefined;
  /** Pass the signals this process gets on to the container; those of a terminal's keys go through the terminal. */
  proxySignals: boolean;
  /** It was not started yet: start it once its streams are attached, so that no byte is missed. */
  start: boolean;
  /** It has a terminal. */
  tty: boolean;
  /** The keys that leave it running; under a tty only. */
  keys: Buffer;
}

/** The container's output is relayed to its end; gives its exit code, or 0 when the user detached. Rejects when it could not start. */
export async function attachAndWait(context: Context, container: Container, options: AttachedOptions): Promise<number> {
  const attachment = await container.attach({ stdin: options.stdin });
  // Asked before the start: a container that removes itself could be gone when we come to ask.
  const ended = container.wait({ condition: options.start ? 'next-exit' : 'not-running' });
  ended.catch(() => undefined);
  const pending: NodeJS.Signals[] = [];
  let running = !options.start;
  const send = (signal: NodeJS.Signals): void => {
    // It may end at this very moment: then nobody is left to signal.
    container.kill(signal).catch(() => undefined);
  };
  const release =
    options.proxySignals && !options.tty
      ? context.onSignals((signal) => (running ? send(signal) : pending.push(signal)))
      : () => undefined;
  const size = options.tty ? terminalSize(context) : undefined;
  // Now, for the first thing that the program may do is ask for it.
  if (size && options.start) await attachment.resize(size);
  const stdin = options.stdin ?? true;
  const terminal = options.tty
    ? openTerminal(context, attachment, { keys: options.keys, stdin, redraw: !options.start })
    : undefined;
  try {
    const output = Promise.all([relay(attachment.stdout, context.stdout), relay(attachment.stderr, context.stderr)]);
    output.catch(() => undefined);
    if (options.start) await container.start();
    running = true;
    pending.forEach(send);
    if (stdin && !terminal) context.stdin.pipe(attachment.stdin);
    // A container that closed its stdin is no error of ours.
    attachment.stdin.on('error', () => context.stdin.unpipe());
    const end = Promise.all([ended, output]).then(([result]) => exitCodeOf(result));
    end.catch(() => undefined);
    const code = await Promise.race([end, ...(terminal ? [terminal.detached] : [])]);
    if (code === undefined) await attachment.detach();
    return code ?? 0;
  } catch (error) {
    await attachment.detach().catch(() => undefined);
    throw error;
  } finally {
    release();
    terminal?.close();
    context.stdin.unpipe();
    context.stdin.pause();
  }
}

/** 137 when nobody saw it end: its supervisor was killed, and it with it. Never a made-up 0. */
export function exitCodeOf(result: Pick<WaitResult, 'exitCode'>): number {
  return result.exitCode ?? 137;
}
