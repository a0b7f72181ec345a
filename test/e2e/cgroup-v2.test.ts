import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type { ExecResult } from 'dinghy';
import { Runtime } from 'dinghy';

import { Bench, repository } from '../support/e2e';

// The build machines have hybrid cgroups and data folders on ext4 or tmpfs; the virtual machine has cgroup v2 alone, and its root,
// the data folder with it, is an overlay, which can't be the upper of another. Software emulation: a minute, not a second.

interface Seen {
  info: { cgroup: string; rootfs: string; usable: boolean; reasons: string[] };
  limits: ExecResult;
  oom: ExecResult;
  fork: ExecResult;
  written: ExecResult;
  cgroup: string;
  frozen: string;
  exec: ExecResult;
  left: boolean;
}

let seen: Seen;

beforeAll(async () => {
  const bench = await Bench.open({ busybox: '1' });
  // The guest sees the host's files, but for its own /tmp.
  const folder = mkdtempSync('/var/tmp/dinghy-guest-');
  try {
    const root = join(folder, 'root');
    const runtime = new Runtime({ ...bench.options, root });
    await runtime.pull('busybox:1');
    await runtime.close();
    const argv = ['-t', '240', '--', process.execPath, join(__dirname, 'guest/limits.js'), root];
    const options = { cwd: repository, encoding: 'utf8', timeout: 280_000 } as const;
    const { stdout, stderr } = spawnSync(join(repository, 'test/support/vm/run'), argv, options);
    const line = /^SEEN (.*)$/m.exec(stdout);
    if (!line) throw new Error(`the guest program told nothing:\n${stdout.slice(-4000)}${stderr.slice(-4000)}`);
    seen = JSON.parse(line[1]!) as Seen;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await bench.close();
  }
}, 600_000);

test('the host is told for what it is: cgroup v2, and roots whose upper is on tmpfs', () => {
  expect(seen.info).toEqual({ cgroup: 'v2', rootfs: 'overlay-tmpfs', usable: true, reasons: [] });
});

test('the limits are in the files of the cgroup the container sees as its root', () => {
  expect(seen.limits).toMatchObject({ exitCode: 0, stdout: `${64 * 1024 * 1024}\n30\n50000 100000\n` });
});

test('a process over its memory limit is killed, and that is told', () => {
  expect(seen.oom).toMatchObject({ exitCode: 137, oomKilled: true });
});

test('a fork over the pids limit fails in the container', () => {
  expect(seen.fork.stderr).toMatch(/fork/);
  expect(seen.fork.exitCode).not.toBe(0);
});

test('the root is written to, and files of the image can be removed', () => {
  const names = seen.written.stdout.split('\n');
  expect(names).toContain('made');
  expect(names).not.toContain('passwd');
});

test('processes are in a cgroup below dinghy, which looks like the root from inside, an exec in one below; it can be frozen', () => {
  expect(seen.cgroup).toMatch(/^0::\/dinghy\/[^/]+/m);
  expect(seen.exec.stdout).toMatch(/^0::\/exec-\d+\n$/);
  expect(seen.frozen).toBe('paused');
});

test('after close no cgroup is left', () => {
  expect(seen.left).toBe(false);
});
