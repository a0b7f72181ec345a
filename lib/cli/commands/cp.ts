import type { Command } from 'commander';
import type { Context } from '../context';
import { UsageError } from '../context';
import { humanSize } from '../format';
import { writeStream } from '../output-file';

interface CpFlags {
  archive?: boolean;
  followLink?: boolean;
  quiet?: boolean;
}

/** `cp [-a] [-L] SRC DEST`, of which one is `CONTAINER:PATH`; `-` on the other side is a tar archive on stdin or stdout. */
export function configure(command: Command, context: Context): void {
  command
    .option('-a, --archive', 'keep owners, set-id bits and attributes')
    .option('-L, --follow-link', 'copy what a link leads to')
    .option('-q, --quiet', 'say nothing of what was copied')
    .argument('<source>', 'CONTAINER:PATH, a path, or -')
    .argument('<destination>')
    .action(async (source: string, destination: string, flags: CpFlags) => {
      const from = splitPlace(source);
      const to = splitPlace(destination);
      if (from.container !== undefined && to.container !== undefined) {
        throw new UsageError('copying between containers is not supported');
      }
      const name = from.container ?? to.container;
      if (name === undefined) {
        throw new UsageError('must specify at least one container source');
      }
      if (destination === '-' && context.stdout.isTTY) {
        throw new UsageError('an archive is not for a terminal: redirect stdout');
      }
      const container = await context.runtime().container(name);
      const options = { archive: flags.archive, followLinks: flags.followLink };
      if (destination === '-') {
        const { followLinks } = options;
        await writeStream((signal) => container.archive(from.path, { followLinks, signal }), undefined, context);
        return;
      }
      if (source === '-') {
        await container.extract(to.path, context.stdin);
        return;
      }
      const result = await (from.container === undefined
        ? container.copyTo(from.path, to.path, options)
        : container.copyFrom(from.path, to.path, options));
      result.warnings.forEach((warning) => context.stderr.write(`dinghy: ${warning}\n`));
      if (context.stderr.isTTY && !flags.quiet) {
        context.stderr.write(`Successfully copied ${humanSize(result.bytes)} to ${destination}\n`);
      }
    });
}

/** `web:/etc/hosts`. A path that begins with `/` or `.` is one of this host, colon or not. */
export function splitPlace(text: string): { container?: string; path: string } {
  const colon = text.indexOf(':');
  if (text.startsWith('/') || text.startsWith('.') || colon <= 0) {
    return { path: text };
  }
  return { container: text.slice(0, colon), path: text.slice(colon + 1) || '/' };
}
