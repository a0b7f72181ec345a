import { Command, CommanderError } from 'commander';

import { nearest } from '../util/nearest';
import { commands, notYet } from './command-table';
import type { Context } from './context';
import { ExitStatus, UsageError } from './context';
import { describe, exitStatusOf } from './failure';
import { packageVersion } from '../util/version';

/** Runs one command line (without node and script) and gives its exit status. Never rejects. */
export async function runProgram(argv: readonly string[], context: Context): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    return help(rest[0], context);
  }
  if (name === '--version' || name === '-v') {
    context.stdout.write(`dinghy version ${packageVersion()}\n`);
    return 0;
  }
  if (Object.hasOwn(notYet, name)) {
    context.stderr.write(`dinghy: '${name}' is not in this version: ${notYet[name]}\n`);
    return 125;
  }
  if (!Object.hasOwn(commands, name)) {
    const meant = nearest(name, Object.keys(commands));
    const hint = meant === undefined ? '' : ` Did you mean '${meant}'?`;
    context.stderr.write(`dinghy: '${name}' is not a dinghy command.${hint}\nSee 'dinghy --help'\n`);
    return name.startsWith('-') ? 125 : 1;
  }
  return runCommand(name, rest, context);
}

async function runCommand(name: string, argv: readonly string[], context: Context): Promise<number> {
  const command = new Command(`dinghy ${name}`)
    .description(commands[name]!.summary)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: () => undefined,
    });
  commands[name]!.load().configure(command, context);
  try {
    await command.parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof ExitStatus) return error.status;
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      const status = ['run', 'create', 'exec'].includes(name) ? 125 : 1;
      context.stderr.write(`dinghy: ${error.message.replace(/^error: /, '')}\nSee 'dinghy ${name} --help'.\n`);
      return status;
    }
    const hint = error instanceof UsageError ? `\nSee 'dinghy ${name} --help'.` : '';
    context.stderr.write(`dinghy: ${describe(error)}${hint}\n`);
    return exitStatusOf(error, name);
  }
}

async function help(name: string | undefined, context: Context): Promise<number> {
  if (name !== undefined && Object.hasOwn(commands, name)) return runCommand(name, ['--help'], context);
  const width = Math.max(...Object.keys(commands).map((one) => one.length)) + 3;
  const lines = Object.entries(commands).map(([one, { summary }]) => `  ${one.padEnd(width)}${summary}`);
  context.stdout.write(
    `Usage: dinghy COMMAND\n\nContainers with no daemon.\n\nCommands:\n${lines.join('\n')}\n\n` +
      `Not in this version: ${Object.keys(notYet).join(' ')}\n` +
      "Run 'dinghy COMMAND --help' for more on a command.\n",
  );
  return 0;
}
