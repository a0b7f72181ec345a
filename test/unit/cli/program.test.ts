import { commands, notYet } from '../../../lib/cli/command-table';
import { DinghyError } from '../../../lib/index';
import { runCli } from '../../support/cli';

const failing = (error: Error): object => ({
  create: () => Promise.reject(error),
  container: () => Promise.reject(error),
});

test('help lists every command', async () => {
  const { status, stdout } = await runCli([]);
  expect(status).toBe(0);
  for (const name of Object.keys(commands)) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
});

test.each(Object.keys(commands))('%s --help shows its usage and exits with 0', async (name) => {
  const { status, stdout } = await runCli([name, '--help']);
  expect(status).toBe(0);
  expect(stdout).toContain(`Usage: dinghy ${name}`);
});

test('every command of Docker that is missing says what to use, and exits with 125', async () => {
  for (const name of Object.keys(notYet)) {
    const { status, stderr } = await runCli([name]);
    expect(status).toBe(125);
    expect(stderr).toBe(`dinghy: '${name}' is not in this version: ${notYet[name]}\n`);
  }
});

test('an unknown command names the nearest one', async () => {
  expect(await runCli(['sotp'])).toMatchObject({ status: 1, stderr: expect.stringContaining("Did you mean 'stop'?") });
});

test('names of Object.prototype are no commands', async () => {
  expect((await runCli(['constructor'])).status).toBe(1);
  expect((await runCli(['__proto__'])).status).toBe(1);
});

test('a wrong flag exits with 125 from run, create and exec, with 1 elsewhere', async () => {
  expect((await runCli(['run', '--nope', 'x'])).status).toBe(125);
  expect((await runCli(['create', '--nope', 'x'])).status).toBe(125);
  expect((await runCli(['exec', '--nope', 'x', 'y'])).status).toBe(125);
  expect((await runCli(['ps', '--nope'])).status).toBe(1);
});

test.each([126, 127, 125])('a start that failed with %i exits with it', async (exitCode) => {
  const error = new DinghyError({ code: 'ERR_CONTAINER_START', message: 'no such command', exitCode });
  expect(await runCli(['run', 'x'], failing(error))).toEqual({
    status: exitCode,
    stdout: '',
    stderr: 'dinghy: no such command\n',
  });
});

test('any other failure of run exits with 125', async () => {
  const error = new DinghyError({ code: 'ERR_IMAGE_NOT_FOUND', message: 'no such image: x' });
  expect((await runCli(['run', 'x'], failing(error))).status).toBe(125);
});

test('commands with several names go on after a failure and exit with 1', async () => {
  const runtime = {
    container: async (name: string) => {
      if (name === 'b') throw new DinghyError({ code: 'ERR_CONTAINER_NOT_FOUND', message: 'no such container: b' });
      return { stop: async () => undefined };
    },
  };
  expect(await runCli(['stop', 'a', 'b', 'c'], runtime)).toEqual({
    status: 1,
    stdout: 'a\nc\n',
    stderr: 'Error: no such container: b\n',
  });
});

test('rm -f of what is not there is no failure', async () => {
  const error = new DinghyError({ code: 'ERR_CONTAINER_NOT_FOUND', message: 'no such container: b' });
  expect((await runCli(['rm', '-f', 'b'], failing(error))).status).toBe(0);
  expect((await runCli(['rm', 'b'], failing(error))).status).toBe(1);
});

test('stop passes its time on in milliseconds', async () => {
  const stop = jest.fn(async () => undefined);
  await runCli(['stop', '-t', '3', 'a'], { container: async () => ({ stop }) });
  expect(stop).toHaveBeenCalledWith({ stopSignal: undefined, timeoutMs: 3000 });
});

test('--version', async () => {
  expect((await runCli(['--version'])).stdout).toMatch(/^dinghy version \d+\.\d+\.\d+\n$/);
});
