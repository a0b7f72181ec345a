#!/usr/bin/env node
import { Runtime } from '../index';
import type { Context } from './context';
import { runProgram } from './program';

// What a user or a terminal sends a program. SIGPIPE is the kernel's answer to our own writing, SIGCHLD to our own children.
const forwarded: readonly NodeJS.Signals[] = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGCONT',
];

let runtime: Runtime | undefined;

const context: Context = {
  runtime: () => (runtime ??= new Runtime()),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  onSignals(listener) {
    const handlers = forwarded.map((name) => [name, () => listener(name)] as const);
    handlers.forEach(([name, handler]) => process.on(name, handler));
    return () => handlers.forEach(([name, handler]) => process.off(name, handler));
  },
  now: () => new Date(),
};

// `dinghy logs | head`: the reader has left. A C program would die of SIGPIPE, which the shell shows as 141.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 141 : 1));

async function main(): Promise<void> {
  const status = await runProgram(process.argv.slice(2), context);
  await runtime?.close();
  // Not left to the event loop: stdin may still be open, and a terminal that nobody types into would keep us waiting.
  process.exit(status);
}

void main();
