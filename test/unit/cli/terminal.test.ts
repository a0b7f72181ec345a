import { PassThrough } from 'node:stream';

import { runCli } from '../../support/cli';

/** A terminal of 80 columns that is typed at. */
function fakeTerminal() {
  const raw: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => raw.push(on) });
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 80, rows: 24 });
  return { stdin, stdout, raw };
}

/** A process with a terminal that runs until `end`. */
function fakeProcess(tty: boolean) {
  const calls: string[] = [];
  const typed: string[] = [];
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdin.on('data', (chunk: Buffer) => typed.push(chunk.toString()));
  let end = (_code: number): void => undefined;
  const ended = new Promise<{ exitCode: number }>((resolve) => {
    end = (exitCode) => {
      stdout.end();
      stderr.end();
      resolve({ exitCode });
    };
  });
  const child = {
    ...{ stdin, stdout, stderr },
    resize: async ({ columns, rows }: { columns: number; rows: number }) => void calls.push(`${columns}x${rows}`),
    detach: async () => void calls.push('detach'),
    wait: () => ended,
  };
  const container = {
    attach: async () => child,
    spawn: async (_argv: string[], { tty: size }: { tty?: object }) => {
      calls.push(`spawn ${JSON.stringify(size)}`);
      return child;
    },
    start: async () => void calls.push('start'),
    inspect: async () => ({ status: 'running', tty }),
    wait: () => ended,
    remove: async () => undefined,
  };
  const runtime = { create: async () => container, container: async () => container };
  return { calls, typed, end, runtime };
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

test('run -it: the size before the start, raw mode, keys, resizing, the exit code', async () => {
  const terminal = fakeTerminal();
  const child = fakeProcess(true);
  const done = runCli(['run', '-it', 'image'], child.runtime, terminal);
  await settled();
  expect(child.calls).toEqual(['80x24', 'start']);
  expect(terminal.raw).toEqual([true]);
  terminal.stdin.write('ls\r\x03');
  Object.assign(terminal.stdout, { columns: 100, rows: 30 }).emit('resize');
  await settled();
  expect(child.typed.join('')).toBe('ls\r\x03');
  expect(child.calls.at(-1)).toBe('100x30');
  child.end(7);
  expect((await done).status).toBe(7);
  expect(terminal.raw).toEqual([true, false]);
  expect(terminal.stdout.listenerCount('resize')).toBe(0);
});

test.each([
  ['run', ['run', '-it', 'image'], '\x10\x11'],
  ['attach', ['attach', '--detach-keys', 'ctrl-x,z', 'name'], '\x18z'],
  ['start -ai', ['start', '-ai', 'name'], '\x10\x11'],
  ['exec -it', ['exec', '-it', 'name', 'sh'], '\x10\x11'],
])('%s: the detach keys leave it running, and the terminal as it was', async (_name, argv, keys) => {
  const terminal = fakeTerminal();
  const child = fakeProcess(true);
  const done = runCli(argv, child.runtime, terminal);
  await settled();
  terminal.stdin.write(`typed${keys}`);
  expect((await done).status).toBe(0);
  expect(child.typed.join('')).toBe('typed');
  expect(child.calls.at(-1)).toBe('detach');
  expect(terminal.raw).toEqual([true, false]);
});

test('attach makes a program that was there draw its screen anew', async () => {
  const terminal = fakeTerminal();
  const child = fakeProcess(true);
  const done = runCli(['attach', 'name'], child.runtime, terminal);
  await settled();
  expect(child.calls).toEqual(['80x25', '80x24']);
  child.end(0);
  await done;
});

test('exec -it gives the size at once', async () => {
  const terminal = fakeTerminal();
  const child = fakeProcess(true);
  const done = runCli(['exec', '-it', 'name', 'sh'], child.runtime, terminal);
  await settled();
  expect(child.calls).toEqual(['spawn {"columns":80,"rows":24}']);
  child.end(3);
  expect((await done).status).toBe(3);
});

test('-it without a terminal is refused; -t alone, or -i without one, is not', async () => {
  for (const argv of [
    ['run', '-it', 'image'],
    ['exec', '-it', 'name', 'sh'],
  ]) {
    const refused = await runCli(argv, fakeProcess(true).runtime);
    expect(refused).toMatchObject({ status: 125, stderr: expect.stringContaining('stdin is not a terminal') });
  }
  const child = fakeProcess(true);
  const done = runCli(['run', '-t', 'image'], child.runtime);
  await settled();
  child.end(0);
  expect((await done).status).toBe(0);
});

test('signals go through a terminal, and not past it', async () => {
  const onSignals = jest.fn(() => () => undefined);
  for (const [argv, times] of [
    [['run', '-it', 'image'], 0],
    [['run', '-i', 'image'], 1],
    [['run', '--no-sig-proxy', 'image'], 0],
    [['run', '--sig-proxy=false', 'image'], 0],
  ] as const) {
    onSignals.mockClear();
    const child = fakeProcess(true);
    const done = runCli(argv, child.runtime, { ...fakeTerminal(), onSignals });
    await settled();
    child.end(0);
    expect((await done).status).toBe(0);
    expect(onSignals).toHaveBeenCalledTimes(times);
  }
});
