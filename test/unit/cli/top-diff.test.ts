import { runCli } from '../../support/cli';

const now = new Date('2026-03-01T12:00:00');
const process = {
  pid: 4711,
  containerPid: 1,
  parentPid: 4700,
  user: 'root',
  uid: 0,
  startedAt: new Date('2026-03-01T11:59:00'),
  cpuMs: 3_723_000,
  cpuPercent: 12.34,
  memoryBytes: 4096 * 1024,
  virtualBytes: 8192 * 1024,
  state: 'S',
  name: 'nginx',
  command: 'nginx: master \x1b[2J',
};
const others = [
  {
    ...process,
    pid: 4712,
    user: 'systemd-timesync',
    uid: 101,
    startedAt: new Date('2026-02-03T11:00:00'),
    tty: 'pts/0',
  },
  { ...process, pid: 4713, startedAt: new Date('2025-02-03T11:00:00'), cpuMs: 90_061_000 },
];

function withProcesses(processes: readonly object[]): object {
  return { container: async () => ({ top: async () => processes }) };
}

async function top(...options: string[]): Promise<string[]> {
  const { stdout, stderr } = await runCli(['top', 'web', ...options], withProcesses([process, ...others]), {
    now: () => now,
  });
  expect(stderr).toBe('');
  return stdout.split('\n').filter(Boolean);
}

test("top has Docker's columns, and says nothing to the terminal for a process", async () => {
  const wide = (cells: string[]): string => cells.map((cell, at) => (at === 7 ? cell : cell.padEnd(20))).join('');
  const expected = [
    wide(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']),
    wide(['root', '4711', '4700', '12', '11:59', '?', '01:02:03', 'nginx: master ?[2J']),
    wide(['101', '4712', '4700', '12', 'Feb03', 'pts/0', '01:02:03', 'nginx: master ?[2J']),
    wide(['root', '4713', '4700', '12', '2025', '?', '1-01:01:01', 'nginx: master ?[2J']),
  ];
  expect(await top()).toEqual(expected);
  expect(await top('-ef')).toEqual(expected);
});

test.each([
  [
    ['aux'],
    /^USER +PID +%CPU +%MEM +VSZ +RSS +TTY +STAT +START +TIME +COMMAND$/,
    /^root +4711 +12\.3 +\d\.\d +8192 +4096 +\? +S +11:59 +62:03 +nginx/,
  ],
  [['-o', 'pid,comm'], /^PID +COMMAND$/, /^4711 +nginx$/],
  [['-eo', 'pid=Process,etime,uid'], /^Process +ELAPSED +UID$/, /^4711 +01:00 +0$/],
  [['o', 'ppid'], /^PPID$/, /^4700$/],
  [['-opid', '-o', 'user'], /^PID +USER$/, /^4711 +root$/],
])('top %j', async (options, heading, first) => {
  const lines = await top(...options);
  expect(lines[0]).toMatch(heading);
  expect(lines[1]).toMatch(first);
});

test.each([[['-o', 'nonsense']], [['--forest']], [['-o']], [['pid,args']], [['-p', '1']]])(
  'top %j is refused before anything is asked',
  async (options) => {
    const { status, stdout, stderr } = await runCli(['top', 'web', ...options], {});
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('it takes -ef, aux, and -o with user,uid,pid');
  },
);

test('diff has a letter and a path to a line', async () => {
  const diff = [
    { kind: 'modified', path: '/etc' },
    { kind: 'added', path: '/etc/new' },
    { kind: 'deleted', path: '/etc/old' },
  ];
  const runtime = { container: async () => ({ diff: async () => diff }) };
  expect(await runCli(['diff', 'web'], runtime)).toEqual({
    status: 0,
    stdout: 'C /etc\nA /etc/new\nD /etc/old\n',
    stderr: '',
  });
});
