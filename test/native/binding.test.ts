import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { addonStats, closeFd, exitStatus, flock, pipe, socketpair, spawn } from '../../lib/native/binding';
import { errnoName, systemError } from '../../lib/native/errno';
import { runTask, startTask } from '../../lib/native/task';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';
import { until } from '../support/until';

const addonPath = join(__dirname, '../../addon/build/Release/dinghy.node');

function openFds(pid: number | 'self' = 'self'): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => {
      try {
        return `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`;
      } catch {
        return ''; // readdir's own
      }
    })
    .filter((entry) => entry !== '');
}

describe('spawn', () => {
  test('gives exactly the descriptors named, in any order and overlap, and nothing else', async () => {
    const folder = temporaryFolder();
    const stray = openSync(folder, 'r');
    const [first, second] = [openSync(join(folder, 'first'), 'w'), openSync(join(folder, 'second'), 'w')];
    const [ours, theirs] = socketpair();
    // The lower numbers in the place of the higher ones and the other way round.
    const { pid } = spawn({ mode: 'supervise', fds: [second, first, null, theirs, second] });
    closeFd(theirs);
    await until('it has dropped what it does not need', () => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'dinghy\n');
    const [controlName] = openFds(pid)
      .filter((entry) => entry.startsWith('3 '))
      .map((entry) => entry.slice(2));
    expect(openFds(pid)).toEqual([
      `0 ${folder}/second`,
      `1 ${folder}/first`,
      '2 /dev/null',
      `3 ${controlName}`,
      `4 ${folder}/second`,
    ]);
    expect(controlName).toMatch(/^socket:/);
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).toBe('');
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^SigBlk:\tfffffffe7ffbfeff$/m);
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe('/');
    closeFd(ours);
    await until('it has ended', () => exitStatus(pid) !== undefined);
    [stray, first, second].forEach((fd) => closeSync(fd));
    removeFolder(folder);
  });

  test('executes the binary so that nobody can write to it', async () => {
    const { pid, control } = startTask('supervise');
    expect(['overlay', 'memfd']).toContain(addonStats().seal);
    expect(() => openSync(`/proc/${pid}/exe`, 'r+')).toThrow(/EROFS|ETXTBSY|EPERM/);
    control.close();
    await until('it has ended', () => exitStatus(pid) !== undefined);
    expect(() => openSync(`/proc/${process.pid}/fd/1000000`, 'r')).toThrow();
  });

  test('leaves no zombie and no descriptor', async () => {
    await runTask('clean', 'clean', {});
    const before = openFds().length;
    const pids = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { pid, control } = startTask('clean');
        expect(await control.request('clean', {})).toMatchObject({ ok: true, freedBytes: 0 });
        control.close();
        return pid;
      }),
    );
    await until('all were waited for', () => pids.every((pid) => exitStatus(pid)?.exitCode === 0));
    await until('descriptors are back', () => openFds().length <= before);
    expect(addonStats().children).toBe(0);
  });

  test('fails as Node itself would', () => {
    expect(() => spawn({ mode: 'probe', fds: [987_654] })).toThrow(
      expect.objectContaining({ code: 'EBADF', errno: -9, syscall: 'fcntl' }),
    );
    expect(addonStats().children).toBe(0);
  });

  test('takes a fraction of a millisecond', async () => {
    const times: number[] = [];
    const pids: number[] = [];
    for (let i = 0; i < 100; i++) {
      const startedMs = performance.now();
      pids.push(spawn({ mode: 'supervise', fds: [null, null, null, null], newPidNamespace: true }).pid);
      times.push(performance.now() - startedMs);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await until('all have ended', () => pids.every((pid) => exitStatus(pid) !== undefined));
    times.sort((a, b) => a - b);
    process.stdout.write(`spawn: ${times[10]?.toFixed(3)} / ${times[50]?.toFixed(3)} ms (10 % / median)\n`);
    expect(times[10]).toBeLessThan(5);
  });

  test('works from worker threads, whose end changes nothing for others', async () => {
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      const addon = require(workerData);
      const pids = [];
      for (let i = 0; i < 20; i++) pids.push(addon.spawn('supervise', [-1, -1, -1, -1], false));
      parentPort.postMessage(pids);
    `;
    const lists = await Promise.all(
      [1, 2, 3].map(
        () =>
          new Promise<number[]>((resolve, reject) => {
            const worker = new Worker(script, { eval: true, workerData: addonPath });
            let pids: number[] = [];
            worker.on('message', (list: number[]) => (pids = list));
            worker.on('error', reject);
            worker.on('exit', () => resolve(pids));
          }),
      ),
    );
    await until('all were waited for', () => lists.flat().every((pid) => exitStatus(pid) !== undefined));
    expect(lists.flat()).toHaveLength(60);
  });
});

describe('flock', () => {
  test('excludes, shares, and is handed on with its descriptor', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'lock');
    writeFileSync(path, '');
    const [first, second] = [openSync(path, 'r'), openSync(path, 'r')];
    expect(flock(first, 'exclusive')).toBe(true);
    expect(flock(second, 'shared')).toBe(false);
    expect(flock(first, 'shared')).toBe(true);
    expect(flock(second, 'shared')).toBe(true);
    expect(flock(second, 'exclusive')).toBe(false);
    expect(flock(first, 'unlock')).toBe(true);
    expect(flock(second, 'exclusive')).toBe(true);
    [first, second].forEach((fd) => closeSync(fd));
    expect(() => flock(first, 'shared')).toThrow(expect.objectContaining({ code: 'EBADF' }));
    removeFolder(folder);
  });
});

test('pipes and socket pairs are close-on-exec, and closed once', () => {
  const fds = [...pipe(), ...socketpair()];
  for (const fd of fds) {
    expect(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')).toMatch(/^flags:\s+02/m);
    closeFd(fd);
    expect(() => closeFd(fd)).toThrow(expect.objectContaining({ code: 'EBADF', syscall: 'close' }));
  }
});

test('kernel errors have the names that Node gives them, and those it does not know', () => {
  expect([1, 11, 28, 116, 117, 127, 9999].map(errnoName)).toEqual([
    'EPERM',
    'EAGAIN',
    'ENOSPC',
    'ESTALE',
    'EUCLEAN',
    'EKEYEXPIRED',
    'E9999',
  ]);
  expect(systemError(2, 'open', '/x')).toMatchObject({
    code: 'ENOENT',
    errno: -2,
    syscall: 'open',
    path: '/x',
    message: "ENOENT: open '/x'",
  });
});

describe('one-shot modes', () => {
  test('clean removes folders, files and cgroups, and counts the bytes', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    writeFileSync(join(folder, 'a/b/file'), Buffer.alloc(1_000_000));
    const cgroup = '/dinghy-native-test/clean';
    mkdirSync(`/sys/fs/cgroup/unified${cgroup}`, { recursive: true });
    const reply = await runTask('clean', 'clean', {
      trees: [join(folder, 'a'), join(folder, 'missing')],
      cgroups: [cgroup],
      files: [join(folder, 'none')],
      links: ['dgy000000000000'],
    });
    expect(reply).toMatchObject({ ok: true });
    expect(Number((reply as { freedBytes?: number }).freedBytes)).toBeGreaterThanOrEqual(1_000_000);
    expect(readdirSync(folder)).toEqual([]);
    expect(() => readdirSync(`/sys/fs/cgroup/unified${cgroup}`)).toThrow(/ENOENT/);
    removeFolder(folder);
  });

  test('probe says what the host can do, and leaves nothing', async () => {
    const folder = temporaryFolder();
    const reply = await runTask('probe', 'probe', { root: folder, state: folder });
    expect(reply).toMatchObject({
      ok: true,
      uid: 0,
      kernel: expect.stringMatching(/^\d+\.\d+/),
      overlay: { usable: true },
      userNamespaces: { usable: expect.any(Boolean) },
      nfTables: { usable: expect.any(Boolean) },
      cgroup: { mode: expect.stringMatching(/^(v1|v2|hybrid)$/), controllers: expect.arrayContaining(['memory']) },
    });
    expect(readdirSync(folder)).toEqual([]);
    removeFolder(folder);
  });

  test('probe names the cure where a folder cannot be an upper one', async () => {
    const folder = temporaryFolder();
    const reply = await runTask('probe', 'probe', { root: folder, state: '/proc' });
    expect(reply).toMatchObject({ overlayUpperInState: { usable: false, reason: expect.stringContaining('/proc') } });
    expect(readdirSync(folder)).toEqual([]);
    removeFolder(folder);
  });

  test('seccomp compiles a filter', async () => {
    const folder = temporaryFolder();
    const out = join(folder, 'filter');
    expect(await runTask('seccomp', 'seccomp', { capabilities: ['CAP_CHOWN'], out })).toMatchObject({ ok: true });
    expect(readFileSync(out).length % 8).toBe(0);
    expect(readFileSync(out).length).toBeGreaterThan(800);
    expect(await runTask('seccomp', 'seccomp', { capabilities: ['CAP_NONSENSE'], out })).toMatchObject({
      ok: false,
      error: { errno: 22 },
    });
    removeFolder(folder);
  });
});
