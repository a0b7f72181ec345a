import type { Command } from 'commander';
import type { Context } from '../context';

/** `logout [SERVER]`: the credentials that login keeps are gone. */
export function configure(command: Command, context: Context): void {
  command.argument('[server]', 'a registry', 'docker.io').action(async (server: string) => {
    await context.runtime().logout(server);
    context.stdout.write(`Removing login credentials for ${server}\n`);
  });
}
