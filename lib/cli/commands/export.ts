import type { Command } from 'commander';
import type { Context } from '../context';
import { UsageError } from '../context';
import { writeStream } from '../output-file';

interface ExportFlags {
  output?: string;
}

/** `export CONTAINER`: its file system as a tar archive on stdout, or in a file that appears when it is whole. */
export function configure(command: Command, context: Context): void {
  command
    .option('-o, --output <file>', 'write to a file instead of stdout')
    .argument('<container>')
    .action(async (name: string, { output }: ExportFlags) => {
      if (output === undefined && context.stdout.isTTY) {
        throw new UsageError('an archive is not for a terminal: use -o, or redirect stdout');
      }
      const container = await context.runtime().container(name);
      await writeStream((signal) => container.export({ signal }), output, context);
    });
}
