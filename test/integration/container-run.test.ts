import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { DinghyError } from '../../lib';
import { busyboxImage, TestBed } from '../support/busybox';
import { limitFile } from '../support/cgroup-files';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const quiet = { network: 'none' } as const;

async function linesOf(logs: AsyncIterable<{ stream: string; line: string }>): Promise<string[]> {
  const lines: string[] = [];
  for await (const { stream, line } of logs) {
    lines.push(`${stream}: ${line}`);
  }
  return lines;
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'resolved',
    (error: DinghyError) => error.code,
  );

test('runs a command to its end and tells how it ended', async () => {
  const container = await bed.runtime.run(bed.busybox, {
    ...quiet,
    command: ['sh', '-c', 'echo out; echo err >&2; exit 3'],
  });
  expect(container.id).toMatch(/^[0-9a-f]{64}$/);
  expect(await container.wait()).toEqual({ exitCode: 3, signal: null, oomKilled: false });
  expect((await linesOf(container.logs())).sort()).toEqual(['stderr: err', 'stdout: out']);
  expect(await linesOf(container.logs({ stderr: true }))).toEqual(['stderr: err']);
  expect((await container.inspect()).status).toBe('exited');
  await container.close();
  await expect(container.inspect()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
  expect(readdirSync(join(bed.root, 'names'))).toEqual([]);
});

test('gives the command its environment, user, folder, host name and nothing of the host', async () => {
  process.env['SECRET_OF_THE_HOST'] = 'leak';
  const { stdout } = await bed.runtime.exec(
    bed.busybox,
    ['sh', '-c', 'id -u; id -G; pwd; hostname; cat /etc/hostname; env | sort'],
    { ...quiet, user: 'app:staff', groupAdd: [77], workdir: '/made/here', hostname: 'boat', env: { GIVEN: 'a=b' } },
  );
  delete process.env['SECRET_OF_THE_HOST'];
  const [uid, groups, folder, name, etc, ...env] = stdout.trim().split('\n');
  expect([uid, groups, folder, name, etc]).toEqual(['1000', '50 77', '/made/here', 'boat', 'boat']);
  expect(env).toEqual(
    expect.arrayContaining(['FROM_IMAGE=yes', 'GIVEN=a=b', 'HOME=/home/app', 'HOSTNAME=boat', 'PATH=/bin']),
  );
  expect(stdout).not.toContain('SECRET');
});

test('confines by default as Docker does', async () => {
  const script =
    'grep -E "^(Cap(Inh|Bnd|Eff|Amb)|Seccomp):" /proc/self/status; ls /proc/1/fd; touch /proc/sys/kernel/x; mount -t tmpfs x /tmp';
  const { stdout, stderr } = await bed.runtime.exec(bed.busybox, ['sh', '-c', script], quiet);
  expect(stdout).toMatch(/CapInh:\s+0000000000000000/);
  expect(stdout).toMatch(/CapAmb:\s+0000000000000000/);
  expect(stdout).toMatch(/CapBnd:\s+00000000a80425fb/);
  expect(stdout).toMatch(/Seccomp:\s+2/);
  expect(stderr).toMatch(/Read-only file system|No such file/);
  expect(stderr).toMatch(/ermission denied|not permitted/);
});

test('a command that is not there, not executable, or a folder tells so, and nothing is left', async () => {
  const start = (command: string[]): Promise<unknown> => bed.runtime.run(bed.busybox, { ...quiet, command });
  await expect(start(['nothing-here'])).rejects.toMatchObject({ code: 'ERR_COMMAND_NOT_FOUND', exitCode: 127 });
  await expect(start(['/etc/passwd'])).rejects.toMatchObject({ code: 'ERR_COMMAND_NOT_EXECUTABLE', exitCode: 126 });
  await expect(start(['/etc'])).rejects.toMatchObject({ code: 'ERR_COMMAND_NOT_EXECUTABLE', exitCode: 126 });
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
});

test('a name is one container’s, until it is removed', async () => {
  const first = await bed.runtime.create(bed.busybox, { ...quiet, name: 'taken' });
  await expect(bed.runtime.create(bed.busybox, { ...quiet, name: 'taken' })).rejects.toMatchObject({
    code: 'ERR_NAME_IN_USE',
    message: expect.stringContaining(first.id.slice(0, 12)),
  });
  await first.remove();
  const second = await bed.runtime.create(bed.busybox, { ...quiet, name: 'taken' });
  expect((await bed.runtime.container('taken')).id).toBe(second.id);
  expect((await bed.runtime.container(second.id.slice(0, 8))).name).toBe('taken');
  await second.close();
  expect(await codeOf(bed.runtime.container('taken'))).toBe('ERR_CONTAINER_NOT_FOUND');
});

test('binds, volumes, anonymous volumes and tmpfs are where they should be', async () => {
  const host = join(bed.folder, 'shared');
  const reference = await bed.add(
    'test/volumes:1',
    busyboxImage({ Volumes: { '/data': {} } }, [
      { name: 'data/', type: '5', uid: 1000, gid: 1000, mode: 0o700 },
      { name: 'data/seed', content: 'from the image', uid: 1000, gid: 1000 },
    ]),
  );
  const options = {
    ...quiet,
    mounts: [`${host}:/host:ro`, 'kept:/kept', { type: 'tmpfs' as const, target: '/scratch', size: '1m' }],
  };
  const script =
    'cat /data/seed; stat -c "%u %a" /data; echo >/host/x; echo more >>/kept/file; wc -l </kept/file; df /scratch | tail -1';
  const first = await bed.runtime.exec(reference, ['sh', '-c', script], options);
  expect(first.stdout).toMatch(/^from the image1000 700\n1\n/);
  expect(first.stderr).toContain('Read-only file system');
  expect(first.stdout).toMatch(/tmpfs\s+1024 /);
  const second = await bed.runtime.exec(reference, ['sh', '-c', 'echo more >>/kept/file; wc -l </kept/file'], options);
  expect(second.stdout).toBe('2\n');
  expect(readdirSync(join(bed.root, 'volumes'))).toEqual(['kept']);
});

test('files are laid before the start, through the links of the image and with its modes', async () => {
  const reference = await bed.add(
    'test/files:1',
    busyboxImage({}, [
      { name: 'var/run', type: '2', link: '/run' },
      { name: 'run/', type: '5', mode: 0o711 },
      { name: 'etc/escape', type: '2', link: '../../../../../../..' },
    ]),
  );
  const source = join(bed.folder, 'source.txt');
  writeFileSync(source, 'of the host');
  const { stdout } = await bed.runtime.exec(
    reference,
    ['sh', '-c', 'cat /run/app/conf; stat -c "%a %u" /run/app/conf /run /tmp /; cat /etc/escape/canary /tmp/copy'],
    {
      ...quiet,
      files: [
        { path: '/var/run/app/conf', content: 'a=1\n', mode: 0o600, uid: 1000, gid: 1000 },
        { path: '/tmp/copy', source },
        { path: '/etc/escape/canary', content: 'inside\n' },
      ],
    },
  );
  expect(stdout).toBe('a=1\n600 1000\n711 0\n1777 0\n755 0\ninside\nof the host');
  expect(existsSync('/canary')).toBe(false);
});

test('limits are in force', async () => {
  const container = await bed.runtime.run(bed.busybox, {
    ...quiet,
    command: ['sh', '-c', 'ulimit -n; tail /dev/zero'],
    memory: '16m',
    pids: 16,
    cpus: 0.5,
    ulimits: { nofile: 77 },
  });
  const result = await container.wait();
  expect(result).toMatchObject({ exitCode: 137, signal: 'SIGKILL', oomKilled: true });
  expect(await linesOf(container.logs())).toEqual(['stdout: 77']);
  await container.close();
});

test('disks have their limits', async () => {
  // Some disk of this machine, whichever: the kernel takes a limit for none that is not there.
  const numbers = readFileSync(`/sys/block/${readdirSync('/sys/block')[0]}/dev`, 'utf8').trim();
  const disk = join(bed.folder, 'disk');
  execFileSync('mknod', [disk, 'b', ...numbers.split(':')]);
  const io = { readBytesPerSecond: { [disk]: '1m' }, writeOperationsPerSecond: { [disk]: 77 } };
  const container = await bed.runtime.run(bed.busybox, { ...quiet, command: ['sleep', '1000'], io });
  expect(limitFile(container.id, 'io.max', 'blkio.throttle.read_bps_device')).toMatch(
    new RegExp(`^${numbers} (1048576$|rbps=1048576 .*wiops=77)`),
  );
  expect(limitFile(container.id, 'io.max', 'blkio.throttle.write_iops_device')).toMatch(
    new RegExp(`^${numbers} (77$|rbps=1048576 .*wiops=77)`),
  );
  await container.close();
  const absent = { readBytesPerSecond: { [join(bed.folder, 'no-disk')]: 1 } };
  await expect(bed.runtime.run(bed.busybox, { ...quiet, io: absent })).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
    details: { option: 'io' },
  });
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
});

test('read-only, capabilities and seccomp are as asked for', async () => {
  const options = { ...quiet, readOnly: true, capDrop: ['ALL'], capAdd: ['net_admin'], noNewPrivileges: true };
  const script = 'grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status; touch /x; touch /etc/hosts';
  const { stdout, stderr } = await bed.runtime.exec(bed.busybox, ['sh', '-c', script], options);
  expect(stdout).toMatch(/CapEff:\s+0000000000001000/);
  expect(stdout).toMatch(/NoNewPrivs:\s+1/);
  expect(stdout).toMatch(/Seccomp:\s+2/);
  expect(stderr.match(/Read-only file system/g)).toHaveLength(2);
  const open = await bed.runtime.exec(bed.busybox, ['grep', '^Seccomp:', '/proc/self/status'], {
    ...quiet,
    seccomp: 'unconfined',
  });
  expect(open.stdout).toMatch(/Seccomp:\s+0/);
});

test('stop sends the stop signal and then kills', async () => {
  const gentle = await bed.runtime.run(bed.busybox, {
    ...quiet,
    command: ['sh', '-c', 'trap "exit 5" USR1; echo ready; while :; do sleep 0.05; done'],
    stopSignal: 'SIGUSR1',
    waitFor: { log: 'ready' },
  });
  await gentle.stop();
  expect(await gentle.wait()).toMatchObject({ exitCode: 5, signal: null });
  await gentle.start();
  await gentle.waitFor({ log: /^ready$/ });
  await gentle.kill('SIGKILL');
  expect(await gentle.wait()).toMatchObject({ exitCode: 137, signal: 'SIGKILL', oomKilled: false });

  const stubborn = await bed.runtime.run(bed.busybox, { ...quiet, command: ['sh', '-c', 'trap "" TERM; sleep 60'] });
  const startedMs = performance.now();
  await stubborn.stop({ timeoutMs: 200 });
  expect(performance.now() - startedMs).toBeLessThan(3000);
  expect((await stubborn.inspect()).exitCode).toBe(137);
  await expect(stubborn.kill()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
  await Promise.all([gentle.close(), stubborn.close()]);
});

test('an aborted run is undone', async () => {
  const controller = new AbortController();
  const running = bed.runtime.run(bed.busybox, {
    ...quiet,
    command: ['sleep', '60'],
    waitFor: { log: 'never' },
    signal: controller.signal,
    name: 'aborted',
  });
  setTimeout(() => controller.abort(new Error('enough')), 100);
  await expect(running).rejects.toMatchObject({ code: 'ABORT_ERR', name: 'AbortError', cause: { message: 'enough' } });
  expect(await codeOf(bed.runtime.container('aborted'))).toBe('ERR_CONTAINER_NOT_FOUND');
});

test('waiting for a condition tells why it cannot be met any more', async () => {
  const options = { ...quiet, command: ['sh', '-c', 'echo broken config; exit 9'], waitFor: { port: 80 } };
  await expect(bed.runtime.run(bed.busybox, options)).rejects.toMatchObject({
    code: 'ERR_CONTAINER_EXITED',
    exitCode: 9,
    logTail: 'broken config\n',
  });
  const silent = await bed.runtime.run(bed.busybox, { ...quiet, command: ['sleep', '60'] });
  await expect(silent.waitFor({ log: 'x' }, { timeoutMs: 50 })).rejects.toMatchObject({
    code: 'ERR_TIMEOUT',
    logTail: '',
  });
  await silent.waitFor([{ exec: ['true'] }]);
  await silent.close();
});

test('a closed runtime removes what it owns and refuses the rest', async () => {
  const runtime = bed.newRuntime();
  const container = await runtime.run(bed.busybox, { ...quiet, command: ['sleep', '60'] });
  await Promise.all([runtime.close(), runtime.close()]);
  await expect(runtime.run(bed.busybox, quiet)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  expect(await codeOf(bed.runtime.container(container.id))).toBe('ERR_CONTAINER_NOT_FOUND');
});
