import type { Command } from 'commander';
import { isDinghyError } from '../../index';
import type { Context } from '../context';
import { UsageError } from '../context';
import { inspectEach } from '../inspecting';

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
      await inspectEach(context, names, flags.format, (name) => lookUp(context, name, flags.type));
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
