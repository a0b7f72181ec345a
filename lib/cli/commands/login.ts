import type { Command } from 'commander';
import type { Context } from '../context';
import { UsageError } from '../context';

interface LoginFlags {
  username?: string;
  password?: string;
  passwordStdin?: boolean;
}

/** `login [SERVER]`: the registry accepts the credentials, and they are kept. */
export function configure(command: Command, context: Context): void {
  command
    .option('-u, --username <name>', 'user name')
    .option('-p, --password <password>', 'password; other users of this machine can see it: --password-stdin hides it')
    .option('--password-stdin', 'take the password from stdin')
    .argument('[server]', 'a registry', 'docker.io')
    .action(async (server: string, { username, password, passwordStdin }: LoginFlags) => {
      if (username === undefined) throw new UsageError('login: give the name with -u');
      if (password !== undefined && passwordStdin) throw new UsageError('login: -p or --password-stdin, not both');
      if (password !== undefined) {
        context.stderr.write('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
      } else if (!passwordStdin) {
        throw new UsageError(`login: give the password on stdin: dinghy login -u ${username} --password-stdin < FILE`);
      }
      const secret = password ?? (await readLine(context.stdin));
      await context.runtime().login(server, { username, password: secret });
      context.stdout.write('Login Succeeded\n');
    });
}

/** All of it, without the line's end that echo and editors add. */
async function readLine(stdin: Context['stdin']): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
