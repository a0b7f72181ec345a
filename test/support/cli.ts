import { PassThrough } from 'node:stream';

import type { Context } from '../../lib/cli/context';
import { runProgram } from '../../lib/cli/program';
import type { Runtime } from '../../lib/index';

export interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a command line against a runtime of which only the named parts exist. */
export async function runCli(
  argv: readonly string[],
  runtime: object = {},
  more: Partial<Context> & { input?: string } = {},
): Promise<Outcome> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const stdin = new PassThrough();
  stdin.end(more.input ?? '');
  const collected = Promise.all([text(stdout), text(stderr)]);
  const status = await runProgram(argv, {
    runtime: () => runtime as Runtime,
    stdin,
    stdout,
    stderr,
    env: {},
    onSignals: () => () => undefined,
    now: () => new Date('2026-03-01T12:00:00Z'),
    ...more,
  });
  stdout.end();
  stderr.end();
  const [out, err] = await collected;
  return { status, stdout: out, stderr: err };
}

async function text(stream: PassThrough): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}
