import { PassThrough } from 'node:stream';

import { ask } from '../../../lib/cli/prompt';
import { ExitStatus, type Context } from '../../../lib/cli/context';
import { runCli } from '../../support/cli';

class Terminal extends PassThrough {
  readonly isTTY = true;
  readonly modes: boolean[] = [];

  setRawMode(raw: boolean): void {
    this.modes.push(raw);
  }
}

function makeContext(stdin = new Terminal()): Context & { stdin: Terminal; send: (name: NodeJS.Signals) => void } {
  let listener: ((name: NodeJS.Signals) => void) | undefined;
  return {
    stdin,
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    env: {},
    runtime: () => ({}) as never,
    now: () => new Date(),
    onSignals: (added) => {
      listener = added;
      return () => (listener = undefined);
    },
    send: (name) => listener?.(name),
  };
}

test.each([
  ['pa ss\r', 'pa ss'],
  ['pas\x7fs\n', 'pas'],
  ['wrong\x15right\r', 'right'],
  ['e\u0301🚣\x7f\x01\r', 'e\u0301'],
])('%j is %j', async (typed, answer) => {
  const context = makeContext();
  const asking = ask(context, 'Password: ', { hidden: true });
  for (const byte of Buffer.from(typed)) context.stdin.write(Buffer.from([byte]));
  expect(await asking).toBe(answer);
  expect(context.stdin.modes).toEqual([true, false]);
  expect(String((context.stdout as PassThrough).read())).toBe('Password: \n');
});

test('one answer leaves the next to the next question', async () => {
  const context = makeContext();
  const asking = ask(context, 'a');
  context.stdin.write('one\ntwo\n');
  expect(await asking).toBe('one');
  expect(await ask(context, 'b', { hidden: true })).toBe('two');
});

test.each([
  ['Ctrl-C', '\x03', 130],
  ['SIGTERM', 'SIGTERM', 143],
])('%s restores the terminal and ends the command', async (_what, how, status) => {
  const context = makeContext();
  const asking = ask(context, 'Password: ', { hidden: true });
  if (how.startsWith('SIG')) context.send(how as NodeJS.Signals);
  else context.stdin.write(`half${how}`);
  const error = await asking.catch((each: unknown) => each);
  expect(error).toBeInstanceOf(ExitStatus);
  expect((error as ExitStatus).status).toBe(status);
  expect(context.stdin.modes).toEqual([true, false]);
});

test.each(['\x04', undefined])('the end of the input (%j) is no answer', async (typed) => {
  const context = makeContext();
  const asking = ask(context, 'Password: ', { hidden: true });
  if (typed === undefined) context.stdin.end();
  else context.stdin.write(typed);
  await expect(asking).rejects.toThrow(/ended before/);
  expect(context.stdin.modes).toEqual([true, false]);
});

test('login asks for what is not given', async () => {
  const stdin = new Terminal();
  const calls: unknown[][] = [];
  const runtime = { login: async (...values: unknown[]) => calls.push(values) };
  const running = runCli(['login', 'r.example'], runtime, { stdin });
  stdin.write('me\n');
  stdin.write('secret\r');
  expect(await running).toEqual({ status: 0, stdout: 'Username: Password: \nLogin Succeeded\n', stderr: '' });
  expect(calls).toEqual([['r.example', { username: 'me', password: 'secret' }]]);
});

test('login asks nobody where there is no terminal', async () => {
  const { status, stderr } = await runCli(['login', '-u', 'me']);
  expect([status, stderr]).toEqual([1, expect.stringContaining('non-TTY device')]);
});
