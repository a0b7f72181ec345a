import type { Command } from 'commander';
import { isDinghyError } from '../../index';
import type { Context } from '../context';
import { ExitStatus, UsageError } from '../context';
import { describe } from '../failure';
import { expand } from '../table';

interface InspectFlags {
  format?: string;
  type?: string;
}

/** `inspect NAME...`: containers and images as the library tells of them, in a JSON array. */
export function configure(command: Command, context: Context): void {
  command
    .option('-f, --format <template>', "'{{.status}}', '{{json .ports}}'")
    .option('--type <type>', 'container or image')
    .argument('<name...>')
    .action(async (names: string[], flags: InspectFlags) => {
      const found: unknown[] = [];
      let failed = false;
      for (const name of names) {
        try {
          found.push(await lookUp(context, name, flags.type));
        } catch (error) {
          context.stderr.write(`Error: ${describe(error)}\n`);
          failed = true;
        }
      }
      if (flags.format === undefined) context.stdout.write(`${JSON.stringify(found, null, 4)}\n`);
      else found.forEach((one) => context.stdout.write(`${expand(flags.format!, one)}\n`));
      if (failed) throw new ExitStatus(1);
    });
}

async function lookUp(context: Context, name: string, type: string | undefined): Promise<unknown> {
  const runtime = context.runtime();
  if (type === 'image') return (await runtime.image(name)).inspect();
  if (type !== undefined && type !== 'container') throw new UsageError(`--type is container or image, not "${type}"`);
  try {
    return await (await runtime.container(name)).inspect();
  } catch (error) {
    if (type === 'container' || !isDinghyError(error) || error.code !== 'ERR_CONTAINER_NOT_FOUND') throw error;
  }
  try {
    return await (await runtime.image(name)).inspect();
  } catch (error) {
    // What is no image reference either (`My_App`) is simply not there.
    if (!isDinghyError(error) || !['ERR_IMAGE_NOT_FOUND', 'ERR_INVALID_REFERENCE'].includes(error.code)) throw error;
    throw new UsageError(`No such object: ${name}`);
  }
}
