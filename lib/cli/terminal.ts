import type { Writable } from 'node:stream';

import type { Context } from './context';
import { UsageError } from './context';
import { DetachScanner } from './detach-keys';

/** A process with a terminal of its own, whose streams are here. */
export interface TerminalProcess {
  readonly stdin: Writable;
  resize(size: { columns: number; rows: number }): Promise<void>;
}

export interface TerminalSession {
  /** Resolves when the user has typed the detach keys. */
  readonly detached: Promise<void>;
  /** This terminal is as it was before. */
  close(): void;
}

/** @throws UsageError where a terminal is to be typed into, and none is there to type at */
export function checkTerminal(context: Context, { tty, interactive }: { tty?: boolean; interactive?: boolean }): void {
  if (tty && interactive && !context.stdin.isTTY) {
    throw new UsageError('-it: stdin is not a terminal here; use -i without -t');
  }
}

/** The size of the terminal that is written to, where there is one. */
export function terminalSize({ stdout }: Context): { columns: number; rows: number } | undefined {
  const { columns, rows } = stdout;
  return stdout.isTTY && columns && rows ? { columns, rows } : undefined;
}

/**
 * What is typed here goes to the process, key by key, and its terminal follows the size of this one. `redraw`: a program that was there
 * before is made to draw its screen anew.
 */
export function openTerminal(
  context: Context,
  child: TerminalProcess,
  { keys, stdin, redraw = false }: { keys: Buffer; stdin: boolean; redraw?: boolean },
): TerminalSession {
  // Its process may end at any moment: then there is nothing to resize.
  const resize = (size: { columns: number; rows: number }): Promise<void> => child.resize(size).catch(() => undefined);
  const follow = (): void => {
    const size = terminalSize(context);
    if (size) void resize(size);
  };
  const size = terminalSize(context);
  if (size && redraw) {
    // The kernel tells the program only of a size that is another.
    void resize({ columns: size.columns, rows: Math.min(size.rows + 1, 65535) }).then(follow);
  }
  context.stdout.on('resize', follow);
  let onDetach = (): void => undefined;
  const detached = new Promise<void>((resolve) => (onDetach = resolve));
  const scanner = new DetachScanner(keys, () => onDetach());
  const raw = stdin && context.stdin.isTTY === true && context.stdin.setRawMode !== undefined;
  if (raw) context.stdin.setRawMode?.(true);
  if (stdin) {
    context.stdin.pipe(scanner).pipe(child.stdin);
    child.stdin.on('error', () => context.stdin.unpipe(scanner));
  }
  return {
    detached,
    close() {
      context.stdout.off('resize', follow);
      context.stdin.unpipe(scanner);
      context.stdin.pause();
      if (raw) context.stdin.setRawMode?.(false);
    },
  };
}
