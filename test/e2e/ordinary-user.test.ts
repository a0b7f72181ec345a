import { Bench, dinghyAs, type Ended } from '../support/e2e';

// A user id that stands in no file of the host: no name, no home, no range of sub-ids.
const uid = 64_123;

let bench: Bench;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  bench = await Bench.open({ busybox: '1' });
  env = bench.homeOf(uid);
}, 600_000);

afterAll(async () => {
  await bench.close();
});

function dinghy(...args: string[]): Ended {
  return dinghyAs(['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups'], env, args);
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
