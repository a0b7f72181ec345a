import type { Command } from 'commander';
import { isDinghyError } from '../../index';
import type { Context } from '../context';
import { forEach } from '../each';

/** `rm CONTAINER...`: nothing of it is left. Under -f a running one is killed, and one that is not there is no failure. */
export function configure(command: Command, context: Context): void {
  command
    .option('-f, --force', 'kill it first when it runs')
    .option('-v, --volumes', 'also its anonymous volumes')
    .argument('<container...>')
    .action(async (names: string[], flags: { force?: boolean; volumes?: boolean }) => {
      await forEach(context, names, async (name) => {
        try {
          const container = await context.runtime().container(name);
          await container.remove({ force: flags.force, volumes: flags.volumes });
        } catch (error) {
          if (!flags.force || !isDinghyError(error) || error.code !== 'ERR_CONTAINER_NOT_FOUND') throw error;
        }
        return name;
      });
    });
}
