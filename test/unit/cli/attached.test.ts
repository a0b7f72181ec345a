import { PassThrough, Readable } from 'node:stream';

import type { Context } from '../../../lib/cli/context';
import { DinghyError } from '../../../lib/index';
import { runCli } from '../../support/cli';

/** A container that writes what it is told when it is started and ends with `exitCode`. */
function fakeContainer(output: { stdout?: string; stderr?: string; exitCode?: number | null; startError?: Error }) {
  const calls: string[] = [];
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const stdin = new PassThrough();
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  return {
    calls,
    end,
    id: 'c'.repeat(64),
    attach: async () => ({ stdin, stdout, stderr, detach: async () => calls.push('detach') }),
    start: async () => {
      if (output.startError) throw output.startError;
      stdout.end(output.stdout ?? '');
      stderr.end(output.stderr ?? '');
    },
    kill: async (signal: string) => calls.push(`kill ${signal}`),
    wait: async () => {
      calls.push('wait');
      await ended;
      return { exitCode: output.exitCode === undefined ? 0 : output.exitCode };
    },
    remove: async () => calls.push('remove'),
    input: async () => {
      let text = '';
      for await (const chunk of stdin as Readable) text += String(chunk);
      return text;
    },
  };
}

test('run relays both streams and exits as the container does', async () => {
  const container = fakeContainer({ stdout: 'out\n', stderr: 'err\n', exitCode: 7 });
  container.end();
  expect(await runCli(['run', 'image'], { create: async () => container })).toEqual({
    status: 7,
    stdout: 'out\n',
    stderr: 'err\n',
  });
});

test('run -i relays stdin', async () => {
  const container = fakeContainer({});
  const done = runCli(['run', '-i', 'image'], { create: async () => container }, { input: 'typed' });
  expect(await container.input()).toBe('typed');
  container.end();
  expect((await done).status).toBe(0);
});

test('signals go to the container, also those that came before it ran', async () => {
  const container = fakeContainer({ exitCode: 143 });
  let listener: (signal: NodeJS.Signals) => void = () => undefined;
  const onSignals: Context['onSignals'] = (given) => {
    listener = given;
    given('SIGUSR1');
    return () => (listener = () => undefined);
  };
  const done = runCli(['run', 'image'], { create: async () => container }, { onSignals });
  await new Promise((resolve) => setTimeout(resolve, 20));
  listener('SIGTERM');
  container.end();
  expect((await done).status).toBe(143);
  expect(container.calls).toEqual(['wait', 'kill SIGUSR1', 'kill SIGTERM']);
});

test('an end nobody saw is 137, never 0', async () => {
  const container = fakeContainer({ exitCode: null });
  container.end();
  expect((await runCli(['run', 'image'], { create: async () => container })).status).toBe(137);
});

test('a container that cannot start is removed again', async () => {
  const startError = new DinghyError({ code: 'ERR_COMMAND_NOT_FOUND', message: 'not found: nope', exitCode: 127 });
  const container = fakeContainer({ startError });
  expect(await runCli(['run', 'image', 'nope'], { create: async () => container })).toEqual({
    status: 127,
    stdout: '',
    stderr: 'dinghy: not found: nope\n',
  });
  expect(container.calls).toEqual(['wait', 'detach', 'remove']);
});

test('run -d prints the id and waits for nothing', async () => {
  const container = fakeContainer({});
  expect(await runCli(['run', '-d', 'image'], { create: async () => container })).toEqual({
    status: 0,
    stdout: `${'c'.repeat(64)}\n`,
    stderr: '',
  });
});

test('exec relays the streams, gives stdin only under -i, and exits as the process does', async () => {
  const child = {
    stdin: new PassThrough(),
    stdout: Readable.from(['out']),
    stderr: Readable.from(['err']),
    wait: async () => ({ exitCode: 3 }),
  };
  const spawn = jest.fn(async () => child);
  const outcome = await runCli(['exec', '-e', 'A=1', '-u', 'app', 'name', 'ls', '-l'], {
    container: async () => ({ spawn }),
  });
  expect(outcome).toEqual({ status: 3, stdout: 'out', stderr: 'err' });
  expect(spawn).toHaveBeenCalledWith(['ls', '-l'], { env: { A: '1' }, user: 'app', workdir: undefined });
  expect(child.stdin.writableEnded).toBe(true);
});

test('logs writes each line to the stream it came from; pieces of a long line are joined', async () => {
  const time = new Date('2026-03-01T12:00:00.123Z');
  const entry = (stream: string, line: string, partial = false): object => ({
    stream,
    time,
    timestamp: '2026-03-01T12:00:00.123456789Z',
    run: 1,
    line: Buffer.from(line),
    partial,
  });
  const logs = jest.fn(() =>
    Readable.from([entry('stdout', 'one'), entry('stderr', 'bad'), entry('stdout', 'lo', true), entry('stdout', 'ng')]),
  );
  const runtime = { container: async () => ({ logs }) };
  expect(await runCli(['logs', 'x'], runtime)).toEqual({ status: 0, stdout: 'one\nlong\n', stderr: 'bad\n' });
  expect((await runCli(['logs', '-t', '--tail', '2', 'x'], runtime)).stdout).toBe(
    '2026-03-01T12:00:00.123456789Z one\n2026-03-01T12:00:00.123456789Z long\n',
  );
  expect(logs).toHaveBeenLastCalledWith(expect.objectContaining({ encoding: 'buffer', tail: 2 }));
  expect((await runCli(['logs', '--since', 'whenever', 'x'], runtime)).status).toBe(1);
});

test('logs --details tells the runs apart, and a loss is told', async () => {
  const entry = (line: string, more: object): object => ({ stream: 'stdout', line: Buffer.from(line), ...more });
  const logs = (): Readable =>
    Readable.from([
      entry('unfinished', { run: 1, partial: true }),
      entry('again', { run: 2, partial: false }),
      entry('late', { run: 2, partial: false, lost: 99 }),
    ]);
  const runtime = { container: async () => ({ logs }) };
  const stderr = 'dinghy: 99 bytes of stdout are missing here: the disk was full\n';
  const plain = await runCli(['logs', 'x'], runtime);
  expect(plain).toEqual({ status: 0, stdout: 'unfinished\nagain\nlate\n', stderr });
  const { stdout } = await runCli(['logs', '--details', 'x'], runtime);
  expect(stdout).toBe('run=1 unfinished\nrun=2 again\nrun=2 late\n');
});
