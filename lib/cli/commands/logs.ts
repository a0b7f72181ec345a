import { once } from 'node:events';

import type { Command } from 'commander';
import type { LogEntry } from '../../index';
import type { Context } from '../context';
import { time } from '../flag-values';

interface LogsFlags {
  details?: boolean;
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
    .option('--details', 'show which run of the container wrote a line')
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
        tail: tailOf(flags.tail),
        since: time(flags.since, '--since', context.now()),
        until: time(flags.until, '--until', context.now()),
      });
      await write(context, entries, flags);
    });
}

async function write(context: Context, entries: AsyncIterable<LogEntry<Buffer>>, flags: LogsFlags): Promise<void> {
  // The run of the line that has no newline yet: only the first of its pieces gets the time.
  const open: { stdout?: number; stderr?: number } = {};
  for await (const { stream, timestamp, run, line, partial, lost } of entries) {
    const parts: (string | Buffer)[] = [];
    if (open[stream] !== undefined && (open[stream] !== run || lost)) {
      parts.push(newline); // what an earlier run left unfinished does not go on with this
      open[stream] = undefined;
    }
    if (lost) {
      context.stderr.write(`dinghy: ${lost} bytes of ${stream} are missing here: the disk was full\n`);
    }
    if (open[stream] === undefined) {
      parts.push(...(flags.timestamps ? [`${timestamp} `] : []), ...(flags.details ? [`run=${run} `] : []));
    }
    open[stream] = partial ? run : undefined;
    const bytes = Buffer.concat([...parts, line, ...(partial ? [] : [newline])].map((part) => Buffer.from(part)));
    if (!context[stream].write(bytes)) await once(context[stream], 'drain');
  }
}

// As Docker: what is no number means all.
function tailOf(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined;
}
