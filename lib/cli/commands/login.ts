import type { Command } from 'commander';
import type { Context } from '../context';
import { UsageError } from '../context';
import { ask } from '../prompt';

interface LoginFlags {
  username?: string;
  password?: string;
  passwordStdin?: boolean;
}

/** `login [SERVER]`: the registry accepts the credentials, and they are kept. What is not given is asked for on the terminal. */
export function configure(command: Command, context: Context): void {
  command
    .option('-u, --username <name>', 'user name')
    .option('-p, --password <password>', 'password; other users of this machine can see it: --password-stdin hides it')
    .option('--password-stdin', 'take the password from stdin')
    .argument('[server]', 'a registry', 'docker.io')
    .action(async (server: string, { username, password, passwordStdin }: LoginFlags) => {
      if (username === undefined && passwordStdin) throw new UsageError('login: give the name with -u');
      if (password !== undefined && passwordStdin) throw new UsageError('login: -p or --password-stdin, not both');
      if (password !== undefined) {
        context.stderr.write('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
      }
      const name = username ?? (await ask(context, 'Username: ')).trim();
      if (name === '') throw new UsageError('login: a user name is required');
      const secret =
        password ?? (passwordStdin ? await readAll(context.stdin) : await ask(context, 'Password: ', { hidden: true }));
      if (secret === '') throw new UsageError('login: a password is required');
      await context.runtime().login(server, { username: name, password: secret });
      context.stdout.write('Login Succeeded\n');
    });
}

/** All of it, without the line's end that echo and editors add. */
async function readAll(stdin: Context['stdin']): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
