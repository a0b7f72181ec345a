import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { Bench, cliPath, eventually } from '../support/e2e';

// The session of the README, and what a person's fingers expect of it.
let bench: Bench;

beforeAll(async () => {
  bench = await Bench.open({ nginx: '1.18', busybox: '1' });
}, 600_000);

afterAll(async () => {
  await bench.close();
});

const dinghy = (...args: string[]): ReturnType<Bench['cli']> => bench.cli(args);

test('the session of the README', async () => {
  const pull = dinghy('pull', 'nginx:1.18');
  expect(pull).toMatchObject({ status: 0, stderr: '' });
  expect(pull.stdout).toMatch(/^1\.18: Pulling from library\/nginx\n/);
  expect(pull.stdout).toMatch(/^[0-9a-f]{12}: Pull complete\n/m);
  expect(pull.stdout).toMatch(
    /Digest: sha256:[0-9a-f]{64}\nStatus: Downloaded newer image for nginx:1\.18\ndocker\.io\/library\/nginx:1\.18\n$/,
  );

  expect(dinghy('pull', 'nginx:1.18').stdout).toContain('Status: Image is up to date for nginx:1.18');
  expect(dinghy('images').stdout).toMatch(/^nginx +1\.18 +[0-9a-f]{12} +.* ago +\d+(\.\d+)?MB$/m);

  const run = dinghy('run', '-d', '--name', 'web', '-p', '127.0.0.1::80', 'nginx:1.18');
  expect(run).toMatchObject({ status: 0, stdout: expect.stringMatching(/^[0-9a-f]{64}\n$/) });
  const id = run.stdout.trim();

  const address = dinghy('port', 'web', '80').stdout.trim();
  expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
  const page = await eventually(() =>
    fetch(`http://${address}`).then(
      (answer) => answer.text(),
      () => undefined,
    ),
  );
  expect(page).toContain('Welcome to nginx!');

  const ps = dinghy('ps').stdout;
  expect(ps.split('\n')[0]).toMatch(/^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$/);
  expect(ps.split('\n')[1]).toMatch(
    new RegExp(
      `^${id.slice(0, 12)} +nginx:1\\.18 +"/docker-entrypoint\\.…" +.* ago +Up .* +127\\.0\\.0\\.1:\\d+->80/tcp +web$`,
    ),
  );
  await eventually(() => dinghy('logs', 'web').stdout.includes('"GET / HTTP/1.1" 200'));
  expect(dinghy('exec', 'web', 'nginx', '-v')).toEqual({
    status: 0,
    stdout: '',
    stderr: 'nginx version: nginx/1.22.1\n',
  });
  expect(dinghy('stop', 'web')).toEqual({ status: 0, stdout: 'web\n', stderr: '' });
  expect(dinghy('ps').stdout.split('\n')).toHaveLength(2);
  expect(dinghy('ps', '-a').stdout).toMatch(/Exited \(0\) .* ago +web$/m);
  expect(dinghy('rm', 'web')).toEqual({ status: 0, stdout: 'web\n', stderr: '' });
  expect(dinghy('ps', '-aq')).toEqual({ status: 0, stdout: '', stderr: '' });
});

test('run is attached: streams apart, stdin with -i, the exit code', () => {
  const both = dinghy('run', '--rm', '--network', 'none', 'busybox:1', 'sh', '-c', 'echo out; echo err >&2; exit 7');
  expect(both).toMatchObject({ status: 7, stdout: 'out\n', stderr: expect.stringMatching(/err\n$/) });
  expect(bench.cli(['run', '--rm', '-i', '--network', 'none', 'busybox:1', 'tr', 'a-z', 'A-Z'], 'ahoy\n').stdout).toBe(
    'AHOY\n',
  );
  // Without -i its stdin is empty, whatever ours has.
  expect(bench.cli(['run', '--rm', '--network', 'none', 'busybox:1', 'cat'], 'ahoy\n')).toMatchObject({
    status: 0,
    stdout: '',
  });
  expect(dinghy('ps', '-aq').stdout).toBe('');
});

test('exit codes: 125 of the tool, 126 cannot be executed, 127 not found, 128+n by a signal', () => {
  const run = (...args: string[]): number | null => dinghy('run', '--rm', '--network', 'none', ...args).status;
  expect(run('busybox:none-such')).toBe(125);
  expect(run('--nope', 'busybox:1')).toBe(125);
  expect(run('busybox:1', '/etc/passwd')).toBe(126);
  expect(run('busybox:1', 'no-such-program')).toBe(127);
  expect(run('--init', 'busybox:1', 'sh', '-c', 'kill -9 $$')).toBe(137);
  expect(run('--init', 'busybox:1', 'sh', '-c', 'kill -TERM $$; sleep 5')).toBe(143);
  expect(dinghy('ps', '-aq').stdout).toBe('');
});

test('a signal goes to the container, whose exit code comes back', async () => {
  const script = 'trap "echo caught; exit 3" TERM; echo ready; while :; do sleep 0.1; done';
  const child = spawn(
    process.execPath,
    [cliPath, 'run', '--rm', '--network', 'none', 'busybox:1', 'sh', '-c', script],
    {
      env: bench.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  await eventually(() => output.includes('ready'), 20_000);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'close')) as [number];
  expect({ code, output }).toEqual({ code: 3, output: 'ready\ncaught\n' });
});

test('environment, user, working directory, volumes', () => {
  const flags = ['-e', 'A=1', '-u', 'app', '-w', '/home/app', '-h', 'boat', '-v', `${bench.folder}:/host:ro`];
  const script = 'echo $A $(id -un) $(pwd) $(hostname); touch /host/x 2>/dev/null || echo read-only';
  const { stdout } = dinghy('run', '--rm', '--network', 'none', ...flags, 'busybox:1', 'sh', '-c', script);
  expect(stdout).toBe('1 app /home/app boat\nread-only\n');
});

test('logs -f follows to the end; several containers at once; rm -f', () => {
  const loop = 'for i in 1 2 3; do echo line $i; sleep 0.2; done';
  expect(dinghy('run', '-d', '--name', 'one', '--network', 'none', 'busybox:1', 'sh', '-c', loop).status).toBe(0);
  expect(dinghy('logs', '-f', 'one').stdout).toBe('line 1\nline 2\nline 3\n');
  expect(dinghy('logs', '--tail', '1', '-t', 'one').stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z line 3\n$/);
  expect(dinghy('wait', 'one').stdout).toBe('0\n');
  expect(dinghy('run', '-d', '--name', 'two', '--network', 'none', 'busybox:1', 'sleep', '60').status).toBe(0);
  expect(dinghy('ps', '-f', 'exited=0', '--format', '{{.Names}}').stdout).toBe('one\n');
  expect(dinghy('ps', '-f', 'exited=1', '-q').stdout).toBe('');
  expect(dinghy('ps', '-f', 'exited=fine')).toMatchObject({ status: 1, stderr: expect.stringContaining('exit code') });
  expect(dinghy('rm', 'two')).toMatchObject({ status: 1, stdout: '' });
  expect(dinghy('rm', '-f', 'one', 'two', 'three')).toMatchObject({ status: 0, stdout: 'one\ntwo\nthree\n' });
});
