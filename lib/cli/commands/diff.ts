import type { Command } from 'commander';
import type { DiffEntry } from '../../index';
import type { Context } from '../context';

const letters: Readonly<Record<DiffEntry['kind'], string>> = { added: 'A', modified: 'C', deleted: 'D' };

/** `diff CONTAINER`: what was changed in its files, a line each: `A /etc/added`. */
export function configure(command: Command, context: Context): void {
  command.argument('<container>').action(async (name: string) => {
    const container = await context.runtime().container(name);
    const lines = (await container.diff()).map(({ kind, path }) => `${letters[kind]} ${path}\n`);
    context.stdout.write(lines.join(''));
  });
}
