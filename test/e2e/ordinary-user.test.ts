import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { Bench, cliPath } from '../support/e2e';

// A user id that stands in no file of the host: no name, no home, no range of sub-ids.
const uid = 64_123;

let bench: Bench;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  bench = await Bench.open({ busybox: '1' });
  const home = join(bench.folder, 'home');
  mkdirSync(home);
  chownSync(home, uid, uid);
  chmodSync(bench.folder, 0o755);
  env = {
    PATH: process.env['PATH'],
    HOME: home,
    DINGHY_ROOT: join(home, 'root'),
    DINGHY_STATE: join(home, 'state'),
    DINGHY_MIRROR: bench.registry.host,
  };
}, 600_000);

afterAll(async () => {
  await bench.close();
});

function dinghy(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const argv = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups', process.execPath, cliPath, ...args];
  const { status, stdout, stderr } = spawnSync('setpriv', argv, { env, encoding: 'utf8', timeout: 60_000, cwd: '/' });
  return { status, stdout, stderr };
}

test('info says it is rootless, and usable', () => {
  const { stdout } = dinghy('info', '--format', '{{.rootless}} {{.usable}}');
  expect(stdout).toBe('true true\n');
});

test('pull, run without a network, exec, stop, remove', () => {
  expect(dinghy('pull', '-q', 'busybox:1')).toEqual({ status: 0, stdout: 'docker.io/library/busybox:1\n', stderr: '' });
  const script = 'id -u; touch /made && stat -c %u /made; ls /sys/class/net';
  expect(dinghy('run', '--rm', '--network', 'none', 'busybox:1', 'sh', '-c', script)).toEqual({
    status: 0,
    stdout: '0\n0\nlo\n',
    stderr: '',
  });
  expect(dinghy('run', '-d', '--name', 'mine', '--network', 'none', 'busybox:1', 'sleep', '60').status).toBe(0);
  expect(dinghy('exec', 'mine', 'echo', 'ahoy').stdout).toBe('ahoy\n');
  expect(dinghy('stop', '-t', '0', 'mine').stdout).toBe('mine\n');
  expect(dinghy('rm', 'mine').stdout).toBe('mine\n');
  expect(dinghy('ps', '-aq').stdout).toBe('');
});

test('a network is refused with the reason and the cure', () => {
  const { status, stderr } = dinghy('run', '--rm', '--network', 'bridge', 'busybox:1', 'true');
  expect(status).toBe(125);
  expect(stderr).toMatch(/network/);
  expect(dinghy('ps', '-aq').stdout).toBe('');
});
