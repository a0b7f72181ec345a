import { ellipsis, humanDuration, humanSize, parseTime } from '../../../lib/cli/format';
import { parseDuration } from '../../../lib/util/duration';
import { expand, layoutTable } from '../../../lib/cli/table';
import { runCli } from '../../support/cli';

const second = 1000;
const hour = 3600 * second;

test.each([
  [0, 'Less than a second'],
  [1 * second, '1 second'],
  [59 * second, '59 seconds'],
  [60 * second, 'About a minute'],
  [59 * 60 * second, '59 minutes'],
  [hour, 'About an hour'],
  [47 * hour, '47 hours'],
  [49 * hour, '2 days'],
  [15 * 24 * hour, '2 weeks'],
  [90 * 24 * hour, '3 months'],
  [800 * 24 * hour, '2 years'],
])('%i ms is %s', (milliseconds, text) => {
  expect(humanDuration(milliseconds)).toBe(text);
});

test.each([
  [0, '0B'],
  [999, '999B'],
  [1000, '1kB'],
  [142_400_000, '142MB'],
  [1_234_000_000, '1.23GB'],
])('%i bytes are %s', (bytes, text) => {
  expect(humanSize(bytes)).toBe(text);
});

test('times and durations of flags', () => {
  const now = new Date('2026-03-01T12:00:00Z');
  expect(parseDuration('1h30m')).toBe(1.5 * hour);
  expect(parseDuration('500ms')).toBe(500);
  expect(parseDuration('90')).toBe(90 * second);
  expect(parseDuration('soon')).toBeUndefined();
  expect(parseTime('42m', now)).toEqual(new Date('2026-03-01T11:18:00Z'));
  expect(parseTime('2026-01-31T12:00:00Z', now)).toEqual(new Date('2026-01-31T12:00:00Z'));
  expect(parseTime('1767225600', now)).toEqual(new Date('2026-01-01T00:00:00Z'));
  expect(parseTime('10.5', now)).toEqual(new Date(10_500));
  expect(parseTime('1h30m', now)).toEqual(new Date('2026-03-01T10:30:00Z'));
  expect(parseTime('-5m', now)).toEqual(new Date('2026-03-01T12:05:00Z'));
  expect(parseTime('2026-01-31T12:00:00.123456789+02:00', now)).toEqual(new Date('2026-01-31T10:00:00.123Z'));
  expect(parseTime('2026-01-31T12:30', now)).toEqual(new Date(2026, 0, 31, 12, 30));
  expect(parseTime('2026-01-31', now)).toEqual(new Date(2026, 0, 31));
  expect(parseTime('2026-01-31Z', now)).toEqual(new Date('2026-01-31T00:00:00Z'));
  expect(parseTime('2026-13-31', now)).toBeUndefined();
  expect(parseTime('yesterday', now)).toBeUndefined();
});

test('ellipsis counts characters, not their halves', () => {
  expect(ellipsis('/docker-entrypoint.sh nginx', 20)).toBe('/docker-entrypoint.…');
  expect(ellipsis('🚣🚣🚣', 3)).toBe('🚣🚣🚣');
});

test('a table has columns at least ten wide and three blanks between them', () => {
  expect(
    layoutTable(
      [
        ['A', 'a'],
        ['B', 'b'],
      ],
      [{ a: 'x'.repeat(12), b: 'y' }],
    ),
  ).toBe('A              B\nxxxxxxxxxxxx   y\n');
});

test('templates', () => {
  expect(expand('{{.a}}\\t{{json .b}} {{.b.c}}', { a: 1, b: { c: 'x' } })).toBe('1\t{"c":"x"} x');
  expect(() => expand('{{.nope}}', { a: 1 })).toThrow('no field nope for the template; the fields are: a');
  expect(() => expand('{{range .}}', {})).toThrow('not understood');
});

describe('ps', () => {
  const base = {
    id: '0123456789abcdef'.repeat(4),
    name: 'nginx-server',
    image: 'nginx:1.18',
    status: 'running',
    command: ['/docker-entrypoint.sh', 'nginx', '-g', 'daemon off;'],
    created: new Date('2026-03-01T11:54:00Z'),
    startedAt: new Date('2026-03-01T11:55:00Z'),
    ports: [{ hostAddress: '0.0.0.0', hostPort: 8001, containerPort: 80, protocol: 'tcp' }],
    networks: { bridge: {} },
    labels: {},
  };
  const runtime = (more: object): object => ({
    containers: async () => [{ inspect: async () => ({ ...base, ...more }) }],
  });

  test('prints the table that docker prints', async () => {
    expect((await runCli(['ps'], runtime({}))).stdout).toBe(
      'CONTAINER ID   IMAGE        COMMAND                  CREATED         STATUS         PORTS                  NAMES\n' +
        '0123456789ab   nginx:1.18   "/docker-entrypoint.…"   6 minutes ago   Up 5 minutes   0.0.0.0:8001->80/tcp   nginx-server\n',
    );
  });

  test.each([
    [{ status: 'exited', exitCode: 0, finishedAt: new Date('2026-03-01T11:57:00Z') }, 'Exited (0) 3 minutes ago'],
    [
      { status: 'exited', exitCode: null, finishedAt: new Date('2026-03-01T11:57:00Z') },
      'Exited (unknown) 3 minutes ago',
    ],
    [{ status: 'created' }, 'Created'],
    [{ status: 'paused' }, 'Up 5 minutes (Paused)'],
    [{ status: 'dead' }, 'Dead'],
    [{ health: { status: 'healthy', failingStreak: 0 } }, 'Up 5 minutes (healthy)'],
    [{ health: { status: 'starting', failingStreak: 0 } }, 'Up 5 minutes (health: starting)'],
  ])('%j', async (more, status) => {
    expect((await runCli(['ps', '-a', '--format', '{{.Status}}'], runtime(more))).stdout).toBe(`${status}\n`);
  });

  test('-q, --no-trunc and filters', async () => {
    const containers = jest.fn(async () => [{ inspect: async () => base }]);
    const { stdout } = await runCli(['ps', '-q', '--no-trunc', '-f', 'status=exited', '-f', 'name=a', '-f', 'name=b'], {
      containers,
    });
    expect(stdout).toBe(`${base.id}\n`);
    expect(containers).toHaveBeenCalledWith({ all: true, filters: { status: ['exited'], name: ['a', 'b'] } });
    expect((await runCli(['ps', '-f', 'color=red'], { containers })).status).toBe(1);
  });
});

test('images has a line for each reference', async () => {
  const image = {
    id: `sha256:${'a'.repeat(64)}`,
    digest: `sha256:${'b'.repeat(64)}`,
    references: ['docker.io/library/nginx:1.18', 'localhost:5000/web:latest'],
    created: new Date('2026-02-01T12:00:00Z'),
    size: 36_840_000,
  };
  const { stdout } = await runCli(['images'], {
    images: async () => [image, { ...image, references: [] }],
    damagedImages: async () => [],
  });
  expect(stdout.split('\n').map((line) => line.replace(/ {2,}/g, '|'))).toEqual([
    'REPOSITORY|TAG|IMAGE ID|CREATED|SIZE',
    'nginx|1.18|aaaaaaaaaaaa|4 weeks ago|36.8MB',
    'localhost:5000/web|latest|aaaaaaaaaaaa|4 weeks ago|36.8MB',
    '<none>|<none>|aaaaaaaaaaaa|4 weeks ago|36.8MB',
    '',
  ]);
});

test('images warns of those that it can not show, and rmi -f removes them', async () => {
  const [digest, reason] = [
    `sha256:${'b'.repeat(64)}`,
    'the blob sha256:cc is missing: pull its image again with force',
  ];
  const removed: unknown[] = [];
  const runtime = {
    images: async () => [],
    damagedImages: async () => [
      { digest, references: ['app:1', 'app:2'], reason },
      { digest, references: [], reason },
    ],
    removeImage: async (...args: unknown[]) => {
      removed.push(args);
      return { untagged: ['app:1'], deleted: [digest], freedBytes: 0 };
    },
  };
  expect(await runCli(['images', '-q'], runtime)).toEqual({
    status: 0,
    stdout: '',
    stderr:
      `Warning: app:1, app:2 is damaged: ${reason}, or remove it with rmi -f\n` +
      `Warning: ${digest} is damaged: ${reason}, or remove it with rmi -f\n`,
  });
  expect((await runCli(['rmi', '-f', 'app:1'], runtime)).stdout).toBe(`Untagged: app:1\nDeleted: ${digest}\n`);
  await runCli(['rmi', 'app:1'], runtime);
  expect(removed).toEqual([
    ['app:1', { force: true }],
    ['app:1', { force: false }],
  ]);
});

describe('images', () => {
  const image = {
    id: `sha256:${'a'.repeat(64)}`,
    digest: `sha256:${'b'.repeat(64)}`,
    references: ['nginx:1.18', 'localhost:5000/web:latest'],
    created: new Date('2026-02-01T12:00:00Z'),
    size: 1000,
  };
  const run = async (...flags: string[]): Promise<{ out: string[]; asked: unknown }> => {
    const images = jest.fn(async () => [image]);
    const { stdout } = await runCli(['images', ...flags], { images, damagedImages: async () => [] });
    return { out: stdout.trimEnd().split('\n'), asked: (images.mock.calls as unknown[][])[0]?.[0] };
  };

  test.each([
    [['-q'], ['aaaaaaaaaaaa']],
    [['-aq', '--no-trunc'], [image.id]],
    [
      ['--format', '{{.Repository}}:{{.Tag}}'],
      ['nginx:1.18', 'localhost:5000/web:latest'],
    ],
    [
      ['--format', 'table {{.Tag}} {{.Digest}}', 'nginx'],
      [/^TAG +DIGEST$/, /^1\.18 +sha256:b{64}$/],
    ],
    [['--digests', 'n?nx'], [/^REPOSITORY.*TAG.*DIGEST.*ID/]],
    [
      ['--digests', 'ng*'],
      [/^REPOSITORY.*TAG.*DIGEST.*ID/, /^nginx .*sha256:b{64} /],
    ],
    [['--format', 'json', '-f', 'reference=*/web'], [/^\{.*"Repository":"localhost:5000\/web".*"Size":"1kB".*\}$/]],
  ])('%j', async (flags, lines) => {
    const { out } = await run(...flags);
    expect(out).toEqual(lines.map((line) => (typeof line === 'string' ? line : expect.stringMatching(line))));
  });

  test("filters are the library's", async () => {
    const filters = ['label=a', 'label=b=c', 'dangling=1', 'before=x', 'since=y', 'reference=r*'];
    const { asked } = await run(...filters.flatMap((each) => ['-f', each]), 'name');
    expect(asked).toEqual({
      filters: { label: ['a', 'b=c'], dangling: true, before: 'x', since: 'y', reference: ['r*', 'name'] },
    });
  });

  test.each([['color=red'], ['dangling=maybe'], ['constructor=x'], ['reference=[a']])(
    '%s is refused',
    async (filter) => {
      const { status, stderr } = await runCli(['images', '-f', filter], { images: async () => [image] });
      expect([status, stderr]).toEqual([1, expect.stringMatching(/filter|pattern/)]);
    },
  );
});
