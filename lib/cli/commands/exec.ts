import type { Command } from 'commander';
import type { Attachment } from '../../index';
import { exitCodeOf } from '../attached';
import type { Context } from '../context';
import { ExitStatus, UsageError } from '../context';
import { detachKeys } from '../detach-keys';
import { collect, fileLines, keyValues } from '../flag-values';
import { relay } from '../streams';
import { checkTerminal, openTerminal, terminalSize } from '../terminal';

interface ExecFlags {
  detach?: boolean;
  detachKeys?: string;
  env?: string[];
  envFile?: string[];
  interactive?: boolean;
  privileged?: boolean;
  tty?: boolean;
  user?: string;
  workdir?: string;
}

/** `exec CONTAINER COMMAND`: one more process in it; its exit code is ours. */
export function configure(command: Command, context: Context): void {
  command
    .helpOption('--help', 'show this help')
    .option('-d, --detach', 'run it in the background')
    .option('--detach-keys <keys>', 'keys that leave it running (ctrl-p,ctrl-q)')
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
      checkTerminal(context, flags);
      const keys = detachKeys(flags.detachKeys, context.env);
      const container = await context.runtime().container(name);
      const child = await container.spawn(argv, {
        env: keyValues([...fileLines(flags.envFile, '--env-file'), ...(flags.env ?? [])], context.env),
        user: flags.user,
        workdir: flags.workdir,
        ...(flags.tty ? { tty: terminalSize(context) ?? true } : {}),
      });
      throw new ExitStatus(await relayProcess(context, child, flags, keys));
    });
}

/** Its streams are relayed to its end; gives its exit code, or 0 when the user detached: then it goes on. */
async function relayProcess(context: Context, child: Attachment, flags: ExecFlags, keys: Buffer): Promise<number> {
  const terminal = flags.tty ? openTerminal(context, child, { keys, stdin: flags.interactive ?? false }) : undefined;
  try {
    // A process that closed its stdin is no error of ours.
    child.stdin.on('error', () => context.stdin.unpipe());
    if (!flags.interactive) child.stdin.end();
    else if (!terminal) context.stdin.pipe(child.stdin);
    const output = [relay(child.stdout, context.stdout), relay(child.stderr, context.stderr)];
    const end = Promise.all([child.wait(), ...output]).then(([result]) => exitCodeOf(result));
    end.catch(() => undefined);
    const code = await Promise.race([end, ...(terminal ? [terminal.detached] : [])]);
    if (code === undefined) await child.detach();
    return code ?? 0;
  } finally {
    terminal?.close();
    context.stdin.unpipe();
    context.stdin.pause();
  }
}

function refuse(flags: ExecFlags): void {
  if (flags.detach)
    throw new UsageError(
      '-d: a process of exec ends with its caller in this version; start it with `&` in a shell of yours',
    );
  if (flags.privileged)
    throw new UsageError('--privileged: a process of exec has the rights of its container in this version');
}
