import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { dockerArchive } from '../support/archives';
import { busyboxImage } from '../support/busybox';
import { Bench, dinghyAs, type Ended } from '../support/e2e';
import { buildImage, buildLayer } from '../support/random-image';
import { buildTar } from '../support/tar-builder';
import { tarListing } from '../support/tar-tree';

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

test('export, running and not, and import of the archive and of a folder', () => {
  const script = 'echo kept > /made; chmod 4711 /made; ln /made /too; echo temporary > /tmp/x; sleep 60';
  const run = ['run', '-d', '--name', 'mine', '--network', 'none', '-v', '/data', 'busybox:1', 'sh', '-c', script];
  expect(dinghy(...run)).toMatchObject({ status: 0, stderr: '' });
  expect(dinghy('exec', 'mine', 'sh', '-c', 'until [ -e /tmp/x ]; do sleep 0.05; done').status).toBe(0);
  const [running, stopped] = ['running.tar', 'stopped.tar'].map((name) => join(env['HOME']!, name)) as [string, string];
  expect(dinghy('export', '-o', running, 'mine')).toEqual({ status: 0, stdout: '', stderr: '' });
  expect(dinghy('stop', '-t', '0', 'mine').status).toBe(0);
  expect(dinghy('export', '-o', stopped, 'mine')).toEqual({ status: 0, stdout: '', stderr: '' });
  expect(readFileSync(running).equals(readFileSync(stopped))).toBe(true);
  const lines = tarListing(readFileSync(running));
  expect(lines.find((line) => line.endsWith(' made'))).toMatch(/^-rws--x--x 0\/0 +5 /);
  expect(lines.find((line) => line.includes(' too link to made'))).toBeDefined();
  expect(lines.filter((line) => / (proc|sys|dev|data)\/.+/.test(line))).toEqual([]);
  expect(dinghy('rm', 'mine').status).toBe(0);

  const imported = dinghy('import', '-c', 'ENV PATH=/bin', '-c', 'CMD ["cat", "/made"]', running, 'again:1');
  expect(imported).toMatchObject({ status: 0, stderr: '' });
  expect(imported.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
  expect(dinghy('run', '--rm', '--network', 'none', 'again:1')).toMatchObject({ status: 0, stdout: 'kept\n' });

  const folder = join(env['HOME']!, 'rootfs');
  mkdirSync(join(folder, 'bin'), { recursive: true });
  copyFileSync('/usr/bin/busybox', join(folder, 'bin/cat'));
  writeFileSync(join(folder, 'mine'), 'of a folder\n');
  expect(dinghy('import', folder, 'folder:1')).toMatchObject({ status: 0, stderr: '' });
  const cat = dinghy('run', '--rm', '--network', 'none', 'folder:1', '/bin/cat', '/mine');
  expect(cat).toMatchObject({ status: 0, stdout: 'of a folder\n' });
});

test('cp both ways, running and not; diff and top', () => {
  const home = env['HOME']!;
  writeFileSync(join(home, 'note'), 'of the user\n');
  const run = ['run', '-d', '--name', 'mine', '--network', 'none', '-v', '/data', 'busybox:1', 'sleep', '60'];
  expect(dinghy(...run)).toMatchObject({ status: 0, stderr: '' });
  for (const state of ['running', 'exited']) {
    if (state === 'exited') expect(dinghy('stop', '-t', '0', 'mine').status).toBe(0);
    else expect(dinghy('top', 'mine').stdout).toMatch(/ sleep 60\n$/);
    for (const place of ['/', '/data']) {
      expect(dinghy('cp', join(home, 'note'), `mine:${place}`)).toEqual({ status: 0, stdout: '', stderr: '' });
      const back = join(home, `back-${state}`);
      expect(dinghy('cp', `mine:${place}/note`, back)).toEqual({ status: 0, stdout: '', stderr: '' });
      expect(readFileSync(back, 'utf8')).toBe('of the user\n');
      expect(statSync(back).uid).toBe(uid);
    }
    expect(dinghy('diff', 'mine').stdout).toBe('A /data\nA /note\n');
  }
  expect(dinghy('start', 'mine').status).toBe(0);
  expect(dinghy('exec', 'mine', 'stat', '-c', '%u %n', '/note', '/data/note').stdout).toBe('0 /note\n0 /data/note\n');
  expect(dinghy('rm', '-f', '-v', 'mine').status).toBe(0);
});

test('an image that closes folders and files to everybody is loaded, run and verified', () => {
  const base = busyboxImage({}, [
    { name: 'priv/', type: '5', mode: 0 },
    { name: 'priv/secret', mode: 0, content: 'below\n' },
  ]);
  // Without an entry of its own for priv/: its mode comes from below, by a fix layer.
  const image = buildImage([...base.layers, buildLayer([{ name: 'priv/deep/more', content: 'above\n' }])], {
    config: { Env: ['PATH=/bin'] },
  });
  const archive = join(env['HOME']!, 'closed.tar');
  writeFileSync(archive, buildTar(dockerArchive([{ image, tags: ['closed:1'] }])));
  expect(dinghy('load', '-q', '-i', archive)).toEqual({ status: 0, stdout: 'Loaded image: closed:1\n', stderr: '' });
  const script = 'stat -c "%a %n" /priv /priv/secret; cat /priv/secret /priv/deep/more';
  expect(dinghy('run', '--rm', '--network', 'none', 'closed:1', 'sh', '-c', script)).toEqual({
    status: 0,
    stdout: '0 /priv\n0 /priv/secret\nbelow\nabove\n',
    stderr: '',
  });
  expect(dinghy('system', 'verify')).toEqual({ status: 0, stdout: '', stderr: '' });
  expect(dinghy('rmi', 'closed:1').status).toBe(0);
});

test('a network is refused with the reason and the cure', () => {
  const { status, stderr } = dinghy('run', '--rm', '--network', 'bridge', 'busybox:1', 'true');
  expect(status).toBe(125);
  expect(stderr).toMatch(/network/);
  expect(dinghy('ps', '-aq').stdout).toBe('');
});
