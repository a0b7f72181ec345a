import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import type { CreateOptions } from '../../../lib/index';
import { runCli } from '../../support/cli';

/** What `create` hands the library for these flags. */
async function optionsFor(flags: readonly string[], env: Record<string, string> = {}): Promise<CreateOptions> {
  let given: CreateOptions = {};
  const runtime = {
    create: async (_image: string, options: CreateOptions) => {
      given = options;
      return { id: 'f'.repeat(64) };
    },
  };
  const { status, stderr } = await runCli(['create', '-q', ...flags], runtime, { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return given;
}

async function complaintAbout(flags: readonly string[]): Promise<string> {
  const { status, stderr } = await runCli(['create', ...flags, 'image'], {
    create: () => Promise.reject(new Error('was called')),
  });
  expect(status).toBe(125);
  return stderr;
}

test('what was not given is absent', async () => {
  expect(await optionsFor(['nginx'])).toEqual({ pull: 'missing', detached: true });
});

test('the command is everything after the image, flags of its own included', async () => {
  expect(await optionsFor(['-e', 'A=1', 'nginx', 'ls', '-e', '--name', 'x'])).toMatchObject({
    env: { A: '1' },
    command: ['ls', '-e', '--name', 'x'],
  });
});

test("docker's letters", async () => {
  const flags = [
    '-h',
    'host',
    '-w',
    '/srv',
    '-u',
    '1000:1000',
    '-m',
    '64m',
    '-l',
    'a=b',
    '-l',
    'c',
    '-c',
    '512',
    '-P',
    '-i',
  ];
  expect(await optionsFor([...flags, 'nginx'])).toMatchObject({
    hostname: 'host',
    workdir: '/srv',
    user: '1000:1000',
    memory: '64m',
    labels: { a: 'b', c: '' },
    cpuShares: 512,
    publishAll: true,
    openStdin: true,
  });
});

test('ports keep their spelling; a bare one is ephemeral on every address', async () => {
  expect((await optionsFor(['-p', '8001:80', '-p', '127.0.0.1::53/udp', '-p', '80', 'nginx'])).ports).toEqual([
    '8001:80',
    '127.0.0.1::53/udp',
    { containerPort: 80, protocol: 'tcp' },
  ]);
});

test('environment: flags win over files, a bare name passes the own value on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cli-flags-'));
  const file = join(folder, 'env');
  writeFileSync(file, '# comment\n\nA=file\nB="quoted"\nHERE\nTHERE\n');
  const { env } = await optionsFor(['--env-file', file, '-e', 'A=flag', '-e', 'EMPTY=', 'nginx'], { HERE: 'own' });
  rmSync(folder, { recursive: true });
  expect(env).toEqual({ A: 'flag', B: '"quoted"', HERE: 'own', EMPTY: '' });
});

test('volumes and mounts', async () => {
  const mount = 'type=bind,source=/a,target=/b,readonly';
  const flags = [
    '-v',
    './data:/data',
    '-v',
    'name:/x:ro',
    '--mount',
    mount,
    '--mount',
    'target=/anonymous',
    '--tmpfs',
    '/run:size=1m',
  ];
  const options = await optionsFor([...flags, 'nginx']);
  expect(options.mounts).toEqual([
    `${resolve('./data')}:/data`,
    'name:/x:ro',
    { type: 'bind', source: '/a', target: '/b', readOnly: true },
    { type: 'volume', target: '/anonymous' },
  ]);
  expect(options.tmpfs).toEqual({ '/run': 'size=1m' });
});

test('an empty entrypoint is none', async () => {
  expect((await optionsFor(['--entrypoint', '', 'nginx'])).entrypoint).toEqual([]);
  expect(await optionsFor(['--entrypoint', 'sh', 'nginx', '-c', 'x'])).toMatchObject({
    entrypoint: ['sh'],
    command: ['-c', 'x'],
  });
});

test('limits, security, health', async () => {
  const flags = [
    '--cpus',
    '1.5',
    '--pids-limit',
    '-1',
    '--memory-swap',
    '-1',
    '--ulimit',
    'nofile=1:2',
    '--ulimit',
    'core=0',
  ];
  const security = ['--security-opt', 'no-new-privileges', '--security-opt', 'seccomp=unconfined', '--cap-drop', 'ALL'];
  const health = [
    '--health-cmd',
    'true',
    '--health-interval',
    '1m30s',
    '--restart',
    'on-failure:3',
    '--stop-timeout',
    '2',
  ];
  expect(await optionsFor([...flags, ...security, ...health, 'nginx'])).toMatchObject({
    cpus: 1.5,
    pids: -1,
    memorySwap: -1,
    ulimits: { nofile: { soft: 1, hard: 2 }, core: { soft: 0, hard: 0 } },
    noNewPrivileges: true,
    seccomp: 'unconfined',
    capDrop: ['ALL'],
    healthcheck: { test: 'true', intervalMs: 90_000 },
    restart: { policy: 'on-failure', maxRetries: 3 },
    stopTimeoutMs: 2000,
  });
  expect((await optionsFor(['--no-healthcheck', 'nginx'])).healthcheck).toEqual({ test: 'none' });
  expect((await optionsFor(['--health-start-interval', '2s', 'nginx'])).healthcheck).toEqual({ startIntervalMs: 2000 });
});

test.each([
  [['--cpus', 'many'], '--cpus takes a number, not "many"'],
  [['--mount', 'type=bind,source=/a'], 'has no target'],
  [['--mount', 'type=magic,target=/a'], 'type is bind, volume or tmpfs'],
  [['--restart', 'always:3'], '--restart takes'],
  [['--ulimit', 'nofile'], '--ulimit takes'],
  [['--env-file', '/nonexistent'], '--env-file: ENOENT'],
  [['-e', '=x'], 'has no name'],
  [['--pull', 'sometimes'], '--pull takes'],
  [['--security-opt', 'label=x'], 'only seccomp and no-new-privileges'],
  [['--health-cmd', 'x', '--health-interval', 'soon'], '--health-interval takes a duration'],
  [['--no-healthcheck', '--health-retries', '3'], '--no-healthcheck conflicts'],
  [['--add-host', 'db'], '--add-host takes'],
])('%j is refused before anything is done', async (flags, complaint) => {
  expect(await complaintAbout(flags)).toContain(complaint);
});

test('disks: shares and limits', async () => {
  const limits = [
    '--device-read-bps',
    '/dev/a:1mb',
    '--device-read-bps',
    '/dev/b:2',
    '--device-write-iops',
    '/dev/a:9',
  ];
  expect((await optionsFor(['--blkio-weight', '300', ...limits, 'nginx'])).io).toEqual({
    weight: 300,
    readBytesPerSecond: { '/dev/a': '1mb', '/dev/b': '2' },
    writeOperationsPerSecond: { '/dev/a': 9 },
  });
  expect(await complaintAbout(['--device-write-bps', '/dev/a'])).toMatch('--device-write-bps takes device:rate');
});

test('networks, one or several, with names and addresses of its own', async () => {
  const networkOf = async (...flags: string[]) => (await optionsFor([...flags, 'nginx'])).network;
  expect(await networkOf()).toBeUndefined();
  expect(await networkOf('--network', 'host')).toBe('host');
  expect(await networkOf('--net', 'front')).toBe('front');
  expect(await networkOf('--network', 'front', '--network', 'back')).toEqual({ front: {}, back: {} });
  expect(await networkOf('--network', 'front', '--ip', '10.1.1.9')).toEqual({ front: { address: '10.1.1.9' } });
  expect(await networkOf('--network', 'name=front,alias=web,alias=www,ip=10.1.1.9', '--network', 'back')).toEqual({
    front: { aliases: ['web', 'www'], address: '10.1.1.9' },
    back: {},
  });
  expect((await optionsFor(['--network', 'front', '--network-alias', 'web', 'nginx'])).aliases).toEqual(['web']);
  expect(await complaintAbout(['--ip', '10.1.1.9'])).toContain('--ip');
  expect(await complaintAbout(['--network', 'a', '--network', 'b', '--ip', '10.1.1.9'])).toContain('--ip');
  expect(await complaintAbout(['--network', 'a', '--network', 'a'])).toContain('twice');
  expect(await complaintAbout(['--network', 'name=a,mac=1'])).toContain('mac=1');
  expect(await complaintAbout(['--network', 'alias=a'])).toContain('name=');
});
