import type { PruneOptions } from '../index';
import { confirm } from './confirm';
import type { Context } from './context';
import { humanSize } from './format';

/** Asks unless forced, prunes, and tells what went in Docker's words. */
export async function runPrune(
  context: Context,
  what: string,
  { force, warning, options }: { force?: boolean; warning: string; options: PruneOptions },
): Promise<void> {
  if (!force) await confirm(context, warning, what);
  const { containers, networks, volumes, images, freedBytes } = await context.runtime().prune(options);
  const section = (title: string, lines: readonly string[]): string =>
    lines.length === 0 ? '' : `Deleted ${title}:\n${lines.map((line) => `${line}\n`).join('')}\n`;
  const deleted = images.map((id) => `deleted: ${id}`);
  context.stdout.write(
    section('Containers', containers) +
      section('Networks', networks) +
      section('Volumes', volumes) +
      section('Images', deleted),
  );
  context.stdout.write(`Total reclaimed space: ${humanSize(freedBytes)}\n`);
}
