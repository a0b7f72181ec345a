import { DinghyError } from '../../../lib/errors';
import { binarySize } from '../../../lib/cli/format';
import { runCli } from '../../support/cli';

const stats = {
  time: new Date(),
  cpu: { usageMs: 1, percent: 12.345, throttledMs: 0 },
  memory: { usageBytes: 3 * 1024 * 1024, limitBytes: 64 * 1024 * 1024, cacheBytes: 0 },
  pids: { current: 4 },
  io: { readBytes: 0, writtenBytes: 4096 },
  network: { receivedBytes: 1234, sentBytes: 0, interfaces: {} },
};
const web = { id: 'a'.repeat(64), name: 'web', stats: async () => stats };
const ended = {
  id: 'b'.repeat(64),
  name: 'db',
  stats: async () => {
    throw new DinghyError({ code: 'ERR_CONTAINER_NOT_RUNNING', message: 'not running' });
  },
};

test('the table, and one that does not run', async () => {
  const asked: object[] = [];
  const runtime = {
    containers: async (options: object) => {
      asked.push(options);
      return [web, ended];
    },
  };
  const { stdout, status } = await runCli(['stats', '--no-stream', '-a'], runtime);
  expect(status).toBe(0);
  expect(asked).toEqual([{ all: true }]);
  expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['CONTAINER ID', 'NAME', 'CPU %', 'MEM USAGE / LIMIT', 'MEM %', 'NET I/O', 'BLOCK I/O', 'PIDS'],
    ['aaaaaaaaaaaa', 'web', '12.35%', '3MiB / 64MiB', '4.69%', '1.23kB / 0B', '0B / 4.1kB', '4'],
    ['bbbbbbbbbbbb', 'db', '0.00%', '0B / 0B', '0.00%', '0B / 0B', '0B / 0B', '0'],
    [''],
  ]);
});

test('a template, of named ones', async () => {
  const runtime = { container: async (name: string) => ({ ...web, name }) };
  const { stdout } = await runCli(['stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}}', 'one', 'two'], runtime);
  expect(stdout).toBe('one 4\ntwo 4\n');
});

test.each([
  [0, '0B'],
  [1023, '1023B'],
  [1024, '1KiB'],
  [1.934 * 2 ** 30, '1.934GiB'],
  [64 * 2 ** 20, '64MiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(binarySize(bytes)).toBe(text);
});
