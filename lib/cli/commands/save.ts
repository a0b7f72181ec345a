import { PassThrough } from 'node:stream';

import type { Command } from 'commander';
import type { SaveFormat } from '../../index';
import type { Context } from '../context';
import { UsageError } from '../context';
import { relay } from '../streams';

interface SaveFlags {
  format?: string;
  output?: string;
}

/** `save IMAGE...`: one archive of them all, to stdout or into a file. */
export function configure(command: Command, context: Context): void {
  command
    .option('--format <format>', 'docker-archive (an OCI archive as well), oci-archive, or oci (a folder)')
    .option('-o, --output <file>', 'write to a file instead of stdout')
    .argument('<image...>')
    .action(async (names: string[], { format, output }: SaveFlags) => {
      const options = format === undefined ? {} : { format: format as SaveFormat };
      if (output !== undefined) return context.runtime().save(names, output, options);
      if (context.stdout.isTTY) {
        throw new UsageError('save: cowardly refusing to save to a terminal: use -o or redirect');
      }
      // stdout stays open: it isn't ours to end.
      const stream = new PassThrough();
      await Promise.all([context.runtime().save(names, stream, options), relay(stream, context.stdout)]);
    });
}
