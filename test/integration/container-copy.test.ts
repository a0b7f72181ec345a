import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';

import type { Container, CreateOptions } from '../../lib';
import { cliPath } from '../support/e2e';
import { TestBed } from '../support/busybox';
import { buildTar, type TarEntry } from '../support/tar-builder';
import { tarContent, tarNames } from '../support/tar-tree';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const quiet: CreateOptions = { network: 'none', command: ['sleep', '1000'] };
let count = 0;
/** A folder of this test, on the host. */
function hostFolder(): string {
  const folder = join(bed.folder, `host-${++count}`);
  mkdirSync(folder);
  return folder;
}

/** An archive of files (by their content) and of whatever else. */
function tarOf(members: Record<string, string | Omit<TarEntry, 'name'>>): Buffer {
  return buildTar(
    Object.entries(members).map(([name, member]) =>
      typeof member === 'string' ? { name, content: member } : { name, ...member },
    ),
  );
}

async function inside(container: Container, script: string): Promise<string> {
  return (await container.exec(['sh', '-c', script], { check: true })).stdout;
}

/** The same container in every state in which its files can be asked for. */
async function inEveryState(work: (container: Container, state: string) => Promise<void>): Promise<void> {
  for (const state of ['created', 'running', 'paused', 'exited'] as const) {
    for (const detached of [false, true]) {
      const options = { ...quiet, detached, mounts: [`copy-${state}-${String(detached)}:/data`] };
      const container = await bed.runtime.create(bed.busybox, options);
      if (state !== 'created') await container.start();
      if (state === 'paused') await container.pause();
      if (state === 'exited') await container.stop({ timeoutMs: 0 });
      await work(container, state);
      await container.remove({ force: true, volumes: true });
    }
  }
}

test('a tree goes in and comes back the same, in every state; also into a volume', async () => {
  const host = hostFolder();
  mkdirSync(join(host, 'tree/sub'), { recursive: true });
  writeFileSync(join(host, 'tree/sub/file'), 'content');
  chmodSync(join(host, 'tree/sub/file'), 0o640);
  symlinkSync('/etc/passwd', join(host, 'tree/link'));
  await inEveryState(async (container, state) => {
    for (const place of ['/opt/in', '/data/in']) {
      if (place === '/opt/in') await container.copyTo(host + '/tree/.', '/opt');
      const { bytes, warnings } = await container.copyTo(join(host, 'tree'), place);
      expect(bytes).toBeGreaterThan(1000);
      expect(warnings).toEqual([]);
      const out = hostFolder();
      await container.copyFrom(place, out);
      expect(readFileSync(join(out, 'in/sub/file'), 'utf8')).toBe('content');
      expect(statSync(join(out, 'in/sub/file')).mode & 0o7777).toBe(0o640);
      expect(readlinkSync(join(out, 'in/link'))).toBe('/etc/passwd');
      expect(statSync(join(out, 'in/sub/file')).mtimeMs).toBe(statSync(join(host, 'tree/sub/file')).mtimeMs);
    }
    if (state === 'paused') await container.unpause();
    if (state !== 'running' && state !== 'paused') await container.start();
    expect(await inside(container, 'cat /opt/in/sub/file /data/in/sub/file; stat -c %u:%g:%a /data/in/sub/file')).toBe(
      'contentcontent0:0:640\n',
    );
  });
});

describe("docker cp's rules", () => {
  let container: Container;
  let host: string;
  beforeAll(async () => {
    container = await bed.runtime.run(bed.busybox, quiet);
    host = hostFolder();
    mkdirSync(join(host, 'd/sub'), { recursive: true });
    writeFileSync(join(host, 'd/sub/f'), 'deep');
    writeFileSync(join(host, 'f'), 'file');
    symlinkSync('f', join(host, 'toFile'));
    symlinkSync('d', join(host, 'toFolder'));
  });
  afterAll(async () => {
    await container.close();
  });
  beforeEach(async () => {
    await inside(
      container,
      'rm -rf /t && mkdir -p /t/dir && echo -n old > /t/old && ln -s dir /t/toDir && ln -s old /t/toOld && ln -s new /t/dangling',
    );
  });

  // What is copied, to where, and what is then in the container (find's and cat's words) or which error.
  test.each<[string, string, string]>([
    ['f', '/t/dir', '/t/dir/f file'],
    ['f', '/t/dir/', '/t/dir/f file'],
    ['f', '/t/dir/.', '/t/dir/f file'],
    ['f', 't/dir', '/t/dir/f file'],
    ['f', '/t/new', '/t/new file'],
    ['f', '/t/old', '/t/old file'],
    ['f', '/t/toDir', '/t/dir/f file'],
    ['f', '/t/toOld', '/t/old file'],
    ['f', '/t/dangling', '/t/new file'],
    ['f', '/t/dir/../new', '/t/new file'],
    ['f', '/t/new/', 'ERR_FILE_NOT_FOUND'],
    ['f', '/t/old/', 'ERR_FILE_TYPE'],
    ['f', '/missing/new', 'ERR_FILE_NOT_FOUND'],
    ['f/', '/t/new', 'ERR_FILE_TYPE'],
    ['nothing', '/t/new', 'ERR_FILE_NOT_FOUND'],
    ['d', '/t/dir', '/t/dir/d/sub/f deep'],
    ['d/', '/t/dir', '/t/dir/d/sub/f deep'],
    ['d/.', '/t/dir', '/t/dir/sub/f deep'],
    ['d', '/t/new', '/t/new/sub/f deep'],
    ['d', '/t/new/', '/t/new/sub/f deep'],
    ['d/.', '/t/new', '/t/new/sub/f deep'],
    ['d', '/t/old', 'ERR_FILE_TYPE'],
    ['d', '/missing/new', 'ERR_FILE_NOT_FOUND'],
    ['toFile', '/t/dir', '/t/dir/toFile ->f'],
    ['toFolder/', '/t/dir', '/t/dir/toFolder/sub/f deep'],
    ['toFolder', '/t/dir', '/t/dir/toFolder ->d'],
  ])('in: %s to %s', async (source, destination, expected) => {
    const copied = container.copyTo(source.startsWith('/') ? source : `${host}/${source}`, destination);
    if (expected.startsWith('ERR_')) {
      const before = await inside(container, 'find /t | sort; cat /t/old');
      await expect(copied).rejects.toMatchObject({ code: expected });
      expect(await inside(container, 'find /t | sort; cat /t/old')).toBe(before);
      return;
    }
    await copied;
    const [path, content] = expected.split(' ') as [string, string];
    const read = content.startsWith('->') ? `echo -n "->$(readlink ${path})"` : `cat ${path}`;
    expect(await inside(container, read)).toBe(content);
    expect(await inside(container, 'for l in toDir toOld dangling; do readlink /t/$l; done')).toBe('dir\nold\nnew\n');
  });

  test.each<[string, string, string]>([
    ['/t/old', 'dir', 'dir/old old'],
    ['/t/old', 'new', 'new old'],
    ['/t/old', 'there', 'there old'],
    ['/t/toOld', 'new', 'new ->old'],
    ['/t/toOld', 'dir', 'dir/toOld ->old'],
    ['/etc', 'dir', 'dir/etc/group root:x:0:\nstaff:x:50:app\napp:x:1000:\nnogroup:x:65534:\n'],
    ['/etc/.', 'new', 'new/group root:x:0:\nstaff:x:50:app\napp:x:1000:\nnogroup:x:65534:\n'],
    ['/t/old', 'new/', 'ERR_FILE_NOT_FOUND'],
    ['/t/old', 'missing/new', 'ERR_FILE_NOT_FOUND'],
    ['/t/old/', 'new', 'ERR_FILE_TYPE'],
    ['/t/dir', 'there', 'ERR_FILE_TYPE'],
    ['/t/nothing', 'new', 'ERR_FILE_NOT_FOUND'],
    ['/t/dangling/x', 'new', 'ERR_FILE_NOT_FOUND'],
  ])('out: %s to %s', async (source, destination, expected) => {
    const out = hostFolder();
    mkdirSync(join(out, 'dir'));
    writeFileSync(join(out, 'there'), 'before');
    const copied = container.copyFrom(source, `${out}/${destination}`);
    if (expected.startsWith('ERR_')) {
      await expect(copied).rejects.toMatchObject({ code: expected });
      expect(readFileSync(join(out, 'there'), 'utf8')).toBe('before');
      expect(existsSync(join(out, 'new'))).toBe(false);
      return;
    }
    await copied;
    const path = join(out, expected.slice(0, expected.indexOf(' ')));
    const content = expected.slice(expected.indexOf(' ') + 1);
    expect(content.startsWith('->') ? `->${readlinkSync(path)}` : readFileSync(path, 'utf8')).toBe(content);
  });

  test('-L copies what a link leads to, under the name of the link', async () => {
    await container.copyTo(join(host, 'toFolder'), '/t/dir', { followLinks: true });
    expect(await inside(container, 'cat /t/dir/toFolder/sub/f')).toBe('deep');
    const out = hostFolder();
    await container.copyFrom('/t/toOld', out, { followLinks: true });
    expect(readFileSync(join(out, 'toOld'), 'utf8')).toBe('old');
  });

  test('a folder is not put over a file further down, nor the reverse', async () => {
    await inside(container, 'mkdir -p /t/d/sub/f');
    await expect(container.copyTo(join(host, 'd'), '/t')).rejects.toMatchObject({ code: 'ERR_FILE_TYPE' });
    await inside(container, 'rm -r /t/d/sub && echo x > /t/d/sub');
    await expect(container.copyTo(join(host, 'd'), '/t')).rejects.toMatchObject({ code: 'ERR_FILE_TYPE' });
    expect(await inside(container, 'cat /t/d/sub; ls -A /t/d')).toBe('x\nsub\n');
  });

  test('options and paths are checked before anything is asked', async () => {
    await expect(container.copyTo('', '/t')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await expect(container.copyFrom('/t', 'a\0b')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await expect(container.copyTo('a', 'b', { archve: true } as object)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
    });
    await expect(container.extract('/t', {} as NodeJS.ReadableStream)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
    });
  });
});

describe('owners and modes', () => {
  test('in: root unless archive; set-id bits only with it', async () => {
    const container = await bed.runtime.run(bed.busybox, quiet);
    const host = hostFolder();
    writeFileSync(join(host, 'f'), 'x');
    chownSync(join(host, 'f'), 1234, 2345);
    chmodSync(join(host, 'f'), 0o4751);
    await container.copyTo(join(host, 'f'), '/plain');
    await container.copyTo(join(host, 'f'), '/kept', { archive: true });
    expect(await inside(container, 'stat -c %u:%g:%a /plain /kept')).toBe('0:0:751\n1234:2345:4751\n');
    await container.close();
  });

  test('out: the caller unless archive; no set-id file of a container becomes one of the host by chance', async () => {
    const container = await bed.runtime.run(bed.busybox, quiet);
    await inside(container, 'echo x > /f && chown 1000:50 /f && chmod 6755 /f');
    const host = hostFolder();
    await container.copyFrom('/f', join(host, 'plain'));
    await container.copyFrom('/f', join(host, 'kept'), { archive: true });
    const told = (name: string): string => {
      const { uid, gid, mode } = statSync(join(host, name));
      return `${uid}:${gid}:${(mode & 0o7777).toString(8)}`;
    };
    expect([told('plain'), told('kept')]).toEqual(['0:0:755', '1000:50:6755']);
    await container.close();
  });

  test('no device nodes are made on the host, and it is said so', async () => {
    const container = await bed.runtime.run(bed.busybox, quiet);
    await inside(
      container,
      'mkdir /n && mknod /n/null c 1 3 && ln /n/null /n/again && mkfifo /n/pipe && echo x > /n/x',
    );
    const host = hostFolder();
    for (const archive of [false, true]) {
      const { warnings } = await container.copyFrom('/n/.', host, { archive });
      expect(warnings).toEqual([
        'device left out: n/again',
        expect.stringMatching(/another name of a device left out: n\/null/),
      ]);
      expect(readdirSync(host).sort()).toEqual(['pipe', 'x']);
    }
    await container.close();
  });
});

describe('what a container may not write', () => {
  test('a read-only root and a read-only volume are refused, running or not; a writable volume in them is not', async () => {
    const host = hostFolder();
    writeFileSync(join(host, 'f'), 'x');
    const mounts = ['ro-vol:/ro:ro', 'rw-vol:/rw'];
    for (const started of [true, false]) {
      const make = started ? bed.runtime.run.bind(bed.runtime) : bed.runtime.create.bind(bed.runtime);
      const container = await make(bed.busybox, { ...quiet, readOnly: true, mounts });
      await expect(container.copyTo(join(host, 'f'), '/etc/f')).rejects.toMatchObject({ code: 'ERR_READ_ONLY' });
      await expect(container.copyTo(join(host, 'f'), '/ro')).rejects.toMatchObject({ code: 'ERR_READ_ONLY' });
      await container.copyTo(join(host, 'f'), '/rw');
      expect(await buffer(await container.archive('/rw/f'))).toHaveLength(3072);
      await container.close();
    }
  });

  test("the kernel's own file systems are neither written nor read", async () => {
    const container = await bed.runtime.run(bed.busybox, { ...quiet, privileged: true });
    const host = hostFolder();
    writeFileSync(join(host, 'core_pattern'), '|/evil');
    const before = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
    await inside(container, 'ln -s /proc/sys/kernel /k');
    for (const place of ['/proc/sys/kernel', '/k', '/sys/kernel']) {
      await expect(container.copyTo(join(host, 'core_pattern'), place)).rejects.toMatchObject({ code: 'ERR_ARCHIVE' });
    }
    expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).toBe(before);
    expect(tarNames(await buffer(await container.archive('/proc')))).toEqual(['proc/']);
    const names = tarNames(await buffer(await container.archive('/')));
    expect(names.filter((name) => /^(proc|sys)\/./.test(name))).toEqual([]);
    expect(names).toContain('etc/passwd');
    await container.close();
  });
});

test('archive and extract: names as Docker has them, compressed ones too, owners as the archive says', async () => {
  const container = await bed.runtime.run(bed.busybox, quiet);
  await inside(
    container,
    'mkdir -p /a/b && echo -n one > /a/b/c && chown 1000:50 /a/b/c && ln /a/b/c /a/d && ln -s /a/b /l',
  );
  const archive = await buffer(await container.archive('/a/'));
  expect(tarNames(archive)).toEqual(['a/', 'a/b/', 'a/b/c', 'a/d']);
  expect(tarNames(await buffer(await container.archive('/a/b/c')))).toEqual(['c']);
  expect(tarNames(await buffer(await container.archive('/a/b/.')))).toEqual(['./', 'c']);
  expect(tarNames(await buffer(await container.archive('/l')))).toEqual(['l']);
  expect(tarNames(await buffer(await container.archive('/l', { followLinks: true })))).toEqual(['l/', 'l/c']);
  await inside(container, 'mkdir /x /z');
  await container.extract('/x', Readable.from([archive.subarray(0, 700), archive.subarray(700)]));
  await container.extract('/z', Readable.from([gzipSync(archive)]));
  expect(await inside(container, 'cat /x/a/b/c /z/a/d; stat -c %u:%g:%h /x/a/b/c /z/a/d')).toBe(
    'oneone1000:50:2\n1000:50:2\n',
  );
  await expect(container.extract('/a/d', Readable.from([archive]))).rejects.toMatchObject({ code: 'ERR_FILE_TYPE' });
  await expect(container.extract('/no', Readable.from([archive]))).rejects.toMatchObject({
    code: 'ERR_FILE_NOT_FOUND',
  });
  await expect(container.archive('/no')).rejects.toMatchObject({ code: 'ERR_FILE_NOT_FOUND' });
  await expect(container.extract('/x', Readable.from(['no tar'.repeat(200)]))).rejects.toMatchObject({
    code: 'ERR_ARCHIVE',
  });
  await container.close();
});

test('a mount that is a file gets the content, a tmpfs is where it is', async () => {
  const host = hostFolder();
  writeFileSync(join(host, 'hosts'), '127.0.0.1 mine\n');
  const container = await bed.runtime.run(bed.busybox, { ...quiet, tmpfs: { '/mem': '' } });
  await container.copyTo(join(host, 'hosts'), '/etc/hosts');
  await container.copyTo(join(host, 'hosts'), '/mem');
  expect(await inside(container, 'cat /etc/hosts /mem/hosts; ls -A /etc | grep dinghy || true')).toBe(
    '127.0.0.1 mine\n127.0.0.1 mine\n',
  );
  await container.close();
});

test('a sparse file of a gigabyte stays sparse, in and out', async () => {
  const host = hostFolder();
  const file = join(host, 'big');
  writeFileSync(file, 'begin');
  truncateSync(file, 1 << 30);
  const container = await bed.runtime.run(bed.busybox, quiet);
  await container.copyTo(file, '/big');
  expect(await inside(container, 'stat -c %s /big; head -c 5 /big')).toBe('1073741824\nbegin');
  await container.copyFrom('/big', join(host, 'back'));
  const { size, blocks } = statSync(join(host, 'back'));
  expect(size).toBe(1 << 30);
  expect(blocks * 512).toBeLessThan(1 << 20);
  await container.close();
});

describe('ends early', () => {
  test('an aborted copy rejects, and leaves no half file and no process', async () => {
    const host = hostFolder();
    const file = join(host, 'big');
    writeFileSync(file, randomBytes(1 << 20));
    for (let doubling = 0; doubling < 8; doubling++) appendFileSync(file, readFileSync(file));
    const container = await bed.runtime.run(bed.busybox, quiet);
    for (const delay of [0, 5, 20, 60]) {
      const aborted = new AbortController();
      setTimeout(() => aborted.abort(new Error('enough')), delay);
      const signal = aborted.signal;
      await expect(container.copyTo(file, '/opt', { signal })).rejects.toMatchObject({ code: 'ABORT_ERR' });
      expect(await inside(container, 'find / -xdev -name ".dinghy*" -o -xdev -name opt')).toBe('');
    }
    await container.copyTo(file, '/opt');
    const aborted = new AbortController();
    setTimeout(() => aborted.abort(), 20);
    const copied = container.copyFrom('/opt', join(host, 'out'), { signal: aborted.signal });
    await expect(copied).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(readdirSync(host)).toEqual(['big']);
    await container.close();
  });

  test('a stream that fails, and a reader that stops', async () => {
    const container = await bed.runtime.run(bed.busybox, quiet);
    const failing = Readable.from(
      (async function* () {
        yield Buffer.alloc(0);
        throw new Error('the source broke');
      })(),
    );
    await expect(container.extract('/tmp', failing)).rejects.toThrow('the source broke');
    const stream = await container.archive('/');
    stream.destroy();
    await new Promise((resolve) => stream.once('close', resolve));
    await container.close();
  });

  test('a start waits until what is written into a stopped container is there', async () => {
    const container = await bed.runtime.create(bed.busybox, { ...quiet, command: ['cat', '/opt/f'] });
    await container.copyTo('/etc/hostname', '/tmp'); // the folder /opt isn't in the image
    let finish = (): void => undefined;
    const slow = Readable.from(
      (async function* () {
        yield tarOf({ 'opt/f': 'late' }).subarray(0, 1024);
        await new Promise<void>((resolve) => (finish = resolve));
        yield tarOf({ 'opt/f': 'late' }).subarray(1024);
      })(),
    );
    const extracted = container.extract('/', slow);
    const second = container.extract('/', Readable.from([tarOf({ 'opt/g': 'second\n' })]));
    await new Promise((resolve) => setTimeout(resolve, 200));
    let started = false;
    const start = container.start().then(() => (started = true));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(started).toBe(false);
    finish();
    await Promise.all([extracted, start, second]);
    expect(await container.wait()).toMatchObject({ exitCode: 0 });
    const lines = [];
    for await (const { line } of container.logs()) lines.push(line);
    expect(lines).toEqual(['late']);
    expect(tarContent(await buffer(await container.archive('/opt/g')), 'g')).toBe('second');
    await container.close();
  });
});

describe('attacks', () => {
  let secret: string;
  let canary: string;
  let container: Container;
  let before: string;
  const seen = (): string => {
    const { mtimeMs, ctimeMs, size, nlink, mode, uid } = lstatSync(canary);
    return JSON.stringify([
      mtimeMs,
      ctimeMs,
      size,
      nlink,
      mode,
      uid,
      readFileSync(canary, 'utf8'),
      readdirSync(secret),
    ]);
  };
  beforeAll(async () => {
    secret = hostFolder();
    canary = join(secret, 'canary');
    writeFileSync(canary, 'of the host');
    before = seen();
    container = await bed.runtime.run(bed.busybox, { ...quiet, mounts: ['attack-vol:/w/d/vol'] });
  });
  afterAll(async () => {
    expect(seen()).toBe(before);
    await container.close();
  });

  test("links lead where they would inside: /etc/passwd is the container's", async () => {
    await inside(
      container,
      'ln -s /etc/passwd /pw; ln -s / /root-link; ln -s ../../../../.. /up; ln -s /proc/1/root /magic',
    );
    const out = hostFolder();
    await container.copyFrom('/pw', join(out, 'pw'), { followLinks: true });
    expect(readFileSync(join(out, 'pw'), 'utf8')).toMatch(/^root:x:0:0::\/root:\/bin\/sh\n/);
    for (const way of ['/root-link', '/up', '/up/../..']) {
      await expect(container.archive(way + canary)).rejects.toMatchObject({ code: 'ERR_FILE_NOT_FOUND' });
    }
    await expect(container.archive(`/magic${canary}`)).rejects.toMatchObject({
      cause: expect.objectContaining({ code: expect.stringMatching(/ELOOP|ENOENT|EACCES/) as string }) as object,
    });
    await container.copyTo(canary, '/root-link/etc/copied');
    expect(await inside(container, 'cat /etc/copied')).toBe('of the host');
  });

  test('folders swapped for links all the time (CVE-2018-15664): the host is never read, never written', async () => {
    // The same path as the host's secret, below the folder that becomes a link to /.
    await inside(container, `mkdir -p /w/d${secret} && echo -n "of the container" > /w/d${canary} && ln -s / /w/l`);
    const { pid } = await container.inspect();
    // System calls in a thread of this process: a shell in the container starts a program for each, too slow to race.
    const swapper = new Worker(
      `const { renameSync, rmSync } = require('node:fs');
      const [d, l, x] = ['d', 'l', 'x'].map((name) => '/proc/${pid}/root/w/' + name);
      for (;;) {
        try {
          for (const [from, to] of [[d, x], [l, d], [d, l], [x, d]]) renameSync(from, to);
        } catch {
          // A copy made the folder that was missing between two renames.
          rmSync(d, { recursive: true, maxRetries: 10 });
          renameSync(x, d);
        }
      }`,
      { eval: true },
    );
    const failed = once(swapper, 'error');
    const counts = { inside: 0, refused: 0, naive: 0 };
    const out = hostFolder();
    writeFileSync(join(out, 'canary'), 'overwritten');
    const fromHost = join(out, 'canary');
    const deadline = Date.now() + 5_000;
    // On a busy machine it takes longer until the race was real.
    const enough = (now: number): boolean => now > deadline && (counts.naive > 0 || now > deadline + 30_000);
    while (!enough(Date.now())) {
      const read = join(out, 'read');
      await Promise.all([
        container.copyFrom(`/w/d${canary}`, read).then(
          () => {
            expect(readFileSync(read, 'utf8')).toMatch(/^(of the container|overwritten)$/);
            counts.inside++;
          },
          () => counts.refused++,
        ),
        container.copyTo(fromHost, `/w/d${canary}`).then(
          () => counts.inside++,
          () => counts.refused++,
        ),
        container.archive(`/w/d${secret}`).then(
          async (stream) => expect((await buffer(stream).catch(() => '')).includes('of the host')).toBe(false),
          () => counts.refused++,
        ),
      ]);
      expect(seen()).toBe(before);
      // Whoever resolves the path on the host falls for it: so the race is real.
      for (let round = 0; round < 200; round++) {
        try {
          if (readFileSync(`/proc/${pid}/root/w/d${canary}`, 'utf8') === 'of the host') counts.naive++;
        } catch {
          // Between two swaps there is neither.
        }
      }
    }
    expect(await Promise.race([failed, sleep(0, 'still swapping')])).toBe('still swapping');
    await swapper.terminate();
    expect(counts.naive).toBeGreaterThan(0);
    expect(counts.inside).toBeGreaterThan(10);
  }, 60_000);

  test('a hostile archive stays in the container', async () => {
    await inside(container, 'rm -rf /in && mkdir /in');
    const up = '../'.repeat(10);
    const tars = [
      tarOf({ [`${up.slice(0, -1)}${canary}`]: 'evil' }),
      tarOf({ [canary]: 'evil' }),
      tarOf({ link: { link: secret, type: '2' }, 'link/canary': 'evil' }),
      tarOf({ hard: { link: `${up.slice(0, -1)}${canary}`, type: '1' } }),
      tarOf({ '.': { link: secret, type: '2' }, canary: 'evil' }),
      tarOf({ l: { link: '/proc/1/root', type: '2' }, [`l${canary}`]: 'evil' }),
    ];
    for (const tar of tars) {
      await container.extract('/in', Readable.from([tar])).catch((error: unknown) => {
        expect(error).toMatchObject({
          code: expect.stringMatching(/^ERR_(ARCHIVE|FILE_TYPE|FILE_NOT_FOUND)$/) as string,
        });
      });
      expect(seen()).toBe(before);
    }
    expect(await inside(container, `cat /in${canary}`)).toBe('evil');
    // Ordinary ones that look alike must work: a link within, and a name that layers would take for a whiteout.
    await inside(container, 'rm -rf /in && mkdir -p /in/run && ln -s run /in/var');
    await container.extract('/in', Readable.from([tarOf({ 'var/x': 'ok', '.wh.y': 'ok too' })]));
    expect(await inside(container, 'cat /in/run/x /in/.wh.y')).toBe('okok too');
  });

  test("a tree that a container made touches nothing beside the destination, and follows none of the host's links in it", async () => {
    const out = hostFolder();
    mkdirSync(join(out, 'dest'));
    symlinkSync(secret, join(out, 'dest/trap'));
    await inside(container, 'rm -rf /trap && mkdir /trap && echo evil > /trap/canary');
    await expect(container.copyFrom('/trap', join(out, 'dest'))).rejects.toMatchObject({ code: 'ERR_FILE_TYPE' });
    expect(readdirSync(join(out, 'dest'))).toEqual(['trap']);
    // A file replaces the link, and goes not through it.
    await inside(container, 'rm -rf /trap && echo evil > /trap');
    await container.copyFrom('/trap', join(out, 'dest', 'plain'));
    symlinkSync(canary, join(out, 'dest/f'));
    await inside(container, 'mkdir /t2 && echo evil > /t2/f');
    await container.copyFrom('/t2/.', join(out, 'dest'));
    expect(lstatSync(join(out, 'dest/f')).isSymbolicLink()).toBe(false);
  });
});

test('dinghy cp', async () => {
  const host = hostFolder();
  writeFileSync(join(host, 'f'), 'file\n');
  const container = await bed.runtime.run(bed.busybox, { ...quiet, name: 'copied', detached: true });
  const cli = (args: string[], input?: Buffer): { status: number | null; stdout: Buffer; stderr: string } => {
    const env = { ...process.env, DINGHY_ROOT: bed.root, DINGHY_STATE: bed.state };
    const { status, stdout, stderr } = spawnSync(process.execPath, [cliPath, 'cp', ...args], { env, input, cwd: host });
    return { status, stdout, stderr: String(stderr) };
  };
  expect(cli(['f', 'copied:/tmp'])).toMatchObject({ status: 0, stderr: '' });
  expect(cli(['copied:tmp/f', 'g'])).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(host, 'g'), 'utf8')).toBe('file\n');
  const { stdout } = cli(['copied:/tmp/f', '-']);
  expect(tarContent(stdout, 'f')).toBe('file');
  await inside(container, 'mkdir /x');
  expect(cli(['-', 'copied:/x'], stdout)).toMatchObject({ status: 0, stderr: '' });
  expect(await inside(container, 'cat /x/f')).toBe('file\n');
  expect(cli(['-', 'copied:/x/f'], stdout).status).toBe(1);
  expect(cli(['f', 'g'])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('must specify at least one') as string,
  });
  expect(cli(['copied:/f', 'copied:/g'])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('between') as string,
  });
  expect(cli(['copied:/nothing', '.'])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('/nothing') as string,
  });
  await container.remove({ force: true });
});

test('into one that waits for its restart: the restart waits until it is written', async () => {
  const options = { ...quiet, restart: 'always' as const, command: ['sh', '-c', 'cat /tmp/f; exit 3'] };
  const container = await bed.runtime.run(bed.busybox, options);
  await until(async () => (await container.inspect()).restartCount >= 2);
  await container.extract('/tmp', Readable.from([tarOf({ f: 'seen\n' })]));
  await until(async () => {
    const lines = [];
    for await (const { line } of container.logs()) lines.push(line);
    return lines.includes('seen');
  });
  await container.close();
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (
    const deadline = Date.now() + 10_000;
    !(await holds());
    await new Promise((resolve) => setTimeout(resolve, 10))
  ) {
    if (Date.now() > deadline) throw new Error('not within 10 s');
  }
}
