import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Bench, dinghyAs, type Ended } from '../support/e2e';
import { tarListing } from '../support/tar-tree';

// A user with ranges of subordinate ids (subuid(5)), whom this host need not know: each command runs in a mount namespace of its own,
// where passwd, subuid and subgid tell of her.
const uid = 64_124;
const range = { start: 300_000_000, length: 65_536 };

let bench: Bench;
let env: NodeJS.ProcessEnv;
let script: string;

beforeAll(async () => {
  bench = await Bench.open({ busybox: '1' });
  env = bench.homeOf(uid);
  const files = {
    passwd: `${readFileSync('/etc/passwd', 'utf8')}sailor:x:${uid}:${uid}::${env['HOME']}:/bin/sh\n`,
    subuid: `sailor:${range.start}:${range.length}\n`,
    subgid: `sailor:${range.start}:${range.length}\n`,
  };
  const mounts = Object.entries(files).map(([name, text]) => {
    const path = join(bench.folder, name);
    writeFileSync(path, text);
    return `mount --bind ${path} /etc/${name}`;
  });
  script = `${mounts.join(' && ')} && exec setpriv --reuid ${uid} --regid ${uid} --clear-groups "$@"`;
}, 600_000);

afterAll(async () => {
  await bench.close();
});

function dinghy(...args: string[]): Ended {
  return dinghyAs(['unshare', '--mount', 'sh', '-c', script, 'sh'], env, args);
}

test('every id of the range is there: files are given away, and programs run as other users', () => {
  expect(dinghy('pull', '-q', 'busybox:1')).toMatchObject({ status: 0, stderr: '' });
  const program = 'id -u; touch /made && chown 1000:1001 /made && stat -c %u:%g /made; head -n 2 /proc/self/uid_map';
  const { status, stdout, stderr } = dinghy('run', '--rm', '--network', 'none', 'busybox:1', 'sh', '-c', program);
  const [id, owner, ...map] = stdout.trim().split('\n');
  expect({ status, stderr, id, owner }).toEqual({ status: 0, stderr: '', id: '0', owner: '1000:1001' });
  expect(map.map((line) => line.trim().split(/\s+/).map(Number))).toEqual([
    [0, uid, 1],
    [1, range.start, range.length],
  ]);
  expect(dinghy('run', '--rm', '--network', 'none', '-u', '33:33', 'busybox:1', 'id', '-u').stdout).toBe('33\n');
});

test('an exported archive has the owners that the container sees', () => {
  const script =
    'echo x > /given; chown 33:1000 /given; mkdir -m 700 /closed; touch /closed/in; chown -R 70 /closed; sleep 60';
  const args = ['run', '-d', '--name', 'giving', '--network', 'none', 'busybox:1', 'sh', '-c', script];
  expect(dinghy(...args)).toMatchObject({ status: 0, stderr: '' });
  const wait = 'until [ "$(stat -c %u /closed/in)" = 70 ]; do sleep 0.05; done';
  expect(dinghy('exec', 'giving', 'sh', '-c', wait)).toMatchObject({ status: 0, stderr: '' });
  const archives = [0, 1].map((stopped) => {
    const file = join(env['HOME']!, `${stopped}.tar`);
    if (stopped) expect(dinghy('stop', '-t', '0', 'giving').status).toBe(0);
    expect(dinghy('export', '-o', file, 'giving')).toEqual({ status: 0, stdout: '', stderr: '' });
    return readFileSync(file);
  });
  expect(archives[0]!.equals(archives[1]!)).toBe(true);
  const lines = tarListing(archives[0]!);
  expect(lines.find((line) => line.endsWith(' given'))).toContain(' 33/1000 ');
  expect(lines.find((line) => line.endsWith(' closed/in'))).toContain(' 70/0 ');
  expect(dinghy('rm', 'giving').status).toBe(0);
});

test('what belongs to ids of the range is removed with the container', () => {
  const made = ['mkdir -p /deep/er', 'touch /deep/er/file', 'chown -R 70:70 /deep', 'chmod 700 /deep'].join(' && ');
  const args = ['run', '-d', '--name', 'mine', '--network', 'none', 'busybox:1', 'sh', '-c', `${made} && sleep 60`];
  expect(dinghy(...args)).toMatchObject({ status: 0, stderr: '' });
  expect(dinghy('exec', 'mine', 'id', '-u')).toMatchObject({ status: 0, stdout: '0\n' });
  expect(dinghy('rm', '-f', 'mine')).toMatchObject({ status: 0, stdout: 'mine\n' });
  expect(readdirSync(join(env['DINGHY_ROOT']!, 'containers'))).toEqual([]);
});
