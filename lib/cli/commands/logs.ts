import { once } from 'node:events';

import type { Command } from 'commander';
import type { Context } from '../context';
import { number, time } from '../flag-values';

interface LogsFlags {
  follow?: boolean;
  since?: string;
  tail: string;
  timestamps?: boolean;
  until?: string;
}

const newline = Buffer.from('\n');

/** `logs CONTAINER`: what it wrote, on the stream it wrote it to, byte for byte. */
export function configure(command: Command, context: Context): void {
  command
    .option('-f, --follow', 'go on until it ends')
    .option('--since <time>', 'since a time or a while ago (42m)')
    .option('-n, --tail <lines>', 'the last lines only', 'all')
    .option('-t, --timestamps', 'show when')
    .option('--until <time>', 'until a time or a while ago')
    .argument('<container>')
    .action(async (name: string, flags: LogsFlags) => {
      const container = await context.runtime().container(name);
      const entries = container.logs({
        encoding: 'buffer',
        follow: flags.follow,
        tail: flags.tail === 'all' ? undefined : number(flags.tail, '--tail'),
        since: time(flags.since, '--since', context.now()),
        until: time(flags.until, '--until', context.now()),
      });
      // The pieces of a long line are one line: only the first of them gets the time.
      const open = { stdout: false, stderr: false };
      for await (const { stream, time: at, line, partial } of entries) {
        const stamp =
          flags.timestamps && !open[stream] ? Buffer.from(`${at.toISOString().replace('Z', '000000Z')} `) : undefined;
        open[stream] = partial;
        const bytes = Buffer.concat([...(stamp ? [stamp] : []), line, ...(partial ? [] : [newline])]);
        if (!context[stream].write(bytes)) await once(context[stream], 'drain');
      }
    });
}
