import { parseProcess } from '../../../lib/run/proc-stat';

const host = { bootTimeMs: 1_000_000, nowMs: 1_000_000 + 20_000, users: new Map([[0, 'root']]) };
const status = 'Name:\tx\nUid:\t1000\t0\t0\t0\nVmRSS:\t    2048 kB\nNSpid:\t4711\t12\t3\n';

function statLine(name: string, tty: number): string {
  return `4711 (${name}) S 4700 4711 4711 ${tty} 4711 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1000 8388608 512 0\n`;
}

test('a process is read from its three files', () => {
  const files = { pid: 4711, stat: statLine('sleep', 0), status, commandLine: 'sleep\x0010\0' };
  expect(parseProcess(files, host)).toEqual({
    pid: 4711,
    containerPid: 3,
    parentPid: 4700,
    user: 'root',
    uid: 0,
    startedAt: new Date(1_010_000),
    cpuMs: 2000,
    cpuPercent: 20,
    memoryBytes: 2 * 1024 * 1024,
    virtualBytes: 8388608,
    state: 'S',
    name: 'sleep',
    command: 'sleep 10',
  });
});

test('a name may look like the fields behind it', () => {
  const files = { pid: 1, stat: statLine(') R 1 (\n', 0x8803), status, commandLine: '' };
  expect(parseProcess(files, host)).toMatchObject({
    name: ') R 1 (\n',
    command: '[) R 1 (\n]',
    parentPid: 4700,
    tty: 'pts/3',
  });
});

test.each([
  [0, undefined],
  [0x0401, 'tty1'],
  [0x0440, 'ttyS0'],
  [(137 << 8) | 2, 'pts/258'],
])('the terminal of device %i', (device, name) => {
  expect(parseProcess({ pid: 1, stat: statLine('x', device), status, commandLine: 'x' }, host).tty).toBe(name);
});

test('a uid that this host has no name for is a number', () => {
  const files = { pid: 1, stat: statLine('x', 0), status: status.replace('1000\t0', '0\t1000'), commandLine: 'x' };
  expect(parseProcess(files, host).user).toBe('1000');
});
