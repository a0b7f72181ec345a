import type { Command } from 'commander';
import { exitCodeOf } from '../attached';
import type { Context } from '../context';
import { ExitStatus, UsageError } from '../context';
import { fileLines, keyValues } from '../flag-values';
import { relay } from '../streams';

interface ExecFlags {
  detach?: boolean;
  env?: string[];
  envFile?: string[];
  interactive?: boolean;
  privileged?: boolean;
  tty?: boolean;
  user?: string;
  workdir?: string;
}

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** `exec CONTAINER COMMAND`: one more process in it; its exit code is ours. */
export function configure(command: Command, context: Context): void {
  command
    .helpOption('--help', 'show this help')
    .option('-d, --detach', 'run it in the background')
    .option('-e, --env <name=value>', 'set an environment variable', collect)
    .option('--env-file <file>', 'read environment variables from a file', collect)
    .option('-i, --interactive', 'relay stdin')
    .option('--privileged', 'give it every capability')
    .option('-t, --tty', 'allocate a terminal')
    .option('-u, --user <user>', 'user[:group], names or numbers')
    .option('-w, --workdir <folder>', 'working directory')
    .argument('<container>')
    .argument('<command...>')
    .passThroughOptions()
    .action(async (name: string, argv: string[], flags: ExecFlags) => {
      refuse(flags);
      const container = await context.runtime().container(name);
      const child = await container.spawn(argv, {
        env: keyValues([...fileLines(flags.envFile, '--env-file'), ...(flags.env ?? [])], context.env),
        user: flags.user,
        workdir: flags.workdir,
      });
      // A process that closed its stdin is no error of ours.
      child.stdin.on('error', () => context.stdin.unpipe());
      if (flags.interactive) context.stdin.pipe(child.stdin);
      else child.stdin.end();
      const output = [relay(child.stdout, context.stdout), relay(child.stderr, context.stderr)];
      const [result] = await Promise.all([child.wait(), ...output]);
      context.stdin.unpipe();
      context.stdin.pause();
      throw new ExitStatus(exitCodeOf(result));
    });
}

function refuse(flags: ExecFlags): void {
  if (flags.tty)
    throw new UsageError('-t: a terminal cannot be attached from the command line in this version; use -i without -t');
  if (flags.detach)
    throw new UsageError(
      '-d: a process of exec ends with its caller in this version; start it with `&` in a shell of yours',
    );
  if (flags.privileged)
    throw new UsageError('--privileged: a process of exec has the rights of its container in this version');
}
