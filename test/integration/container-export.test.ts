import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import type { Container } from '../../lib';
import { TestBed } from '../support/busybox';
import { tarContent, tarListing, tarNames } from '../support/tar-tree';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const exported = async (container: Container): Promise<Buffer> => buffer(await container.export());

const changes = [
  'mkdir -p /a/deep/er && echo new > /a/deep/er/file && chown 1000:50 /a/deep/er/file && chmod 4750 /a/deep/er/file',
  'rm /etc/group && echo more >> /etc/passwd && rm -r /home && ln -s /etc/passwd /link && ln /a/deep/er/file /a/second',
  'mkfifo -m 0610 /fifo && mknod /null c 1 3 && echo volume > /data/x && echo tmp > /tmp/x && echo mem > /mem/x',
  'touch -d "2001-02-03 04:05:06" /a/deep/er/file',
].join(' && ');

async function changed(detached: boolean): Promise<Container> {
  const container = await bed.runtime.run(bed.busybox, {
    network: 'none',
    detached,
    command: ['sleep', '1000'],
    mounts: ['export-data:/data'],
    tmpfs: { '/mem': '' },
  });
  await container.exec(['sh', '-c', changes], { check: true });
  return container;
}

test('has the tree as the container sees it, without what is mounted there', async () => {
  const container = await changed(false);
  const archive = await exported(container);
  const own = 'find / -xdev ! -path "/proc/*" ! -path "/sys/*" ! -path "/dev/*" ! -path "/data/*" ! -path "/mem/*"';
  const { stdout } = await container.exec(['sh', '-c', `${own} | sort`]);
  const seen = stdout.split('\n').filter(Boolean);
  const names = tarNames(archive).map((name) => `/${name.replace(/^\.\//, '').replace(/\/$/, '')}`);
  expect(names.sort()).toEqual([...new Set([...seen, '/proc', '/sys', '/dev', '/data', '/mem'])].sort());
  const lines = tarListing(archive);
  const line = (name: string): string => lines.find((each) => each.includes(` ${name}`)) ?? '';
  expect(line('a/deep/er/file')).toMatch(/^-rwsr-x--- 1000\/50 +4 2001-02-03 04:05:06 /);
  expect(line('a/second')).toMatch(/^hrwsr-x--- .* link to a\/deep\/er\/file$/);
  expect(line('fifo')).toMatch(/^prw---x---/);
  expect(line('null')).toMatch(/^crw-r--r-- 0\/0 +1,3 /);
  expect(line('link ->')).toMatch(/ link -> \/etc\/passwd$/);
  expect(line('tmp/')).toMatch(/^drwxrwxrwt/);
  expect(lines.filter((each) => / (data|mem|proc|sys|dev)\/.+/.test(each))).toEqual([]);
  expect(tarContent(archive, 'etc/passwd')).toMatch(/^root:.*\nmore$/s);
  // What is under the mounts, not what is mounted: an image's own hosts file, here an empty one made for the mount.
  expect(tarContent(archive, 'etc/hosts')).toBe('');
  await container.close();
});

test('is the same running, paused, and ended; owned or detached; and twice at once', async () => {
  for (const detached of [false, true]) {
    const container = await changed(detached);
    const running = await exported(container);
    await container.pause();
    expect(running.equals(await exported(container))).toBe(true);
    await container.unpause();
    await container.stop({ timeoutMs: 0 });
    const both = await Promise.all([exported(container), exported(container)]);
    expect(both.map((each) => running.equals(each))).toEqual([true, true]);
    await container.start();
    expect(running.equals(await exported(container))).toBe(true);
    await container.remove({ force: true, volumes: true });
    await expect(container.export()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  }
});

test('of one that never ran has the image and the files laid into it', async () => {
  const files = [{ path: '/etc/app.conf', content: 'port = 80\n' }];
  const container = await bed.runtime.create(bed.busybox, { network: 'none', files, command: ['sleep', '100'] });
  const archive = await exported(container);
  expect(tarContent(archive, 'etc/app.conf')).toBe('port = 80');
  expect(tarNames(archive)).toEqual(expect.arrayContaining(['./', 'bin/busybox', 'etc/passwd', 'home/app/']));
  await container.start();
  await container.close();
});

test('a reader that stops costs no more than a few MiB; destroying the stream ends the process', async () => {
  const container = await bed.runtime.run(bed.busybox, { network: 'none', command: ['sleep', '1000'] });
  await container.exec(['sh', '-c', 'dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null'], { check: true });
  const stream = await container.export();
  await once(stream, 'readable');
  await pause(200);
  expect(stream.readableLength).toBeLessThan(4 << 20);
  stream.destroy();
  await once(stream, 'close');
  // The leak check finds the process if it is still there.
  const controller = new AbortController();
  const aborted = await container.export({ signal: controller.signal });
  await once(aborted, 'readable');
  const [failed, closed] = [once(aborted, 'error'), once(aborted, 'close')];
  const startedMs = performance.now();
  controller.abort('enough');
  expect(await failed).toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
  await closed;
  expect(performance.now() - startedMs).toBeLessThan(200);
  await expect(container.export({ signal: controller.signal })).rejects.toMatchObject({ code: 'ABORT_ERR' });
  await expect(container.export({ sginal: 1 } as never)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await container.close();
});

test('fails when the container is removed before the end: never a part that looks whole', async () => {
  for (const running of [true, false]) {
    const container = await bed.runtime.run(bed.busybox, { network: 'none', command: ['sleep', '1000'] });
    await container.exec(['sh', '-c', 'dd if=/dev/zero of=/big bs=1M count=16 2>/dev/null'], { check: true });
    if (!running) await container.stop({ timeoutMs: 0 });
    const stream = await container.export();
    await once(stream, 'readable');
    await container.close();
    await expect(buffer(stream)).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  }
});

test('one that ended may be started while it is exported', async () => {
  const container = await bed.runtime.run(bed.busybox, { network: 'none', detached: true, command: ['sleep', '1000'] });
  await container.exec(['sh', '-c', 'dd if=/dev/zero of=/big bs=1M count=16 2>/dev/null'], { check: true });
  await container.stop({ timeoutMs: 0 });
  const stream = await container.export();
  await once(stream, 'readable');
  expect((await container.inspect()).status).toBe('exited');
  await container.start();
  await container.exec(['sh', '-c', 'echo later > /zzz'], { check: true });
  const archive = await buffer(stream);
  expect(tarNames(archive)).toEqual(expect.arrayContaining(['./', 'big', 'etc/passwd', 'tmp/']));
  expect((await container.inspect()).status).toBe('running');
  await container.remove({ force: true });
});

test('what was mounted over the root by the container itself is not its file system', async () => {
  const command = ['sh', '-c', 'mount -t tmpfs none / && sleep 1000'];
  const container = await bed.runtime.run(bed.busybox, { network: 'none', capAdd: ['SYS_ADMIN'], command });
  await container.waitFor({ exec: ['sh', '-c', 'grep -c "^none / tmpfs" /proc/self/mounts'] }).catch(() => undefined);
  await expect(container.export()).rejects.toMatchObject({ code: 'ERR_ARCHIVE', step: 'open tree' });
  await container.close();
});

test('a container that changes everything while it is exported gives away nothing of the host', async () => {
  const secret = join(bed.folder, 'secret');
  writeFileSync(secret, 'the canary of this host');
  const swap = [
    'while :; do mv /a /hidden; ln -s / /a; rm /a; mv /hidden /a; done & ',
    `while :; do rm -f /m; ln -s ${secret} /m; rm -f /m; mkfifo /m; rm -f /m; mknod /m c 1 8; rm -f /m; echo x > /m; done &`,
    `while :; do mv /a/etc /a/x; ln -s ../../../../../../../../${bed.folder} /a/etc; rm /a/etc; mv /a/x /a/etc; done &`,
    'while :; do dd if=/dev/zero of=/grow bs=64k count=8 2>/dev/null; : > /grow; done & ',
    'while :; do mount -t tmpfs none /t; echo mounted > /t/x; umount /t; done & wait',
  ].join('\n');
  const container = await bed.runtime.run(bed.busybox, {
    network: 'none',
    capAdd: ['SYS_ADMIN'],
    cpus: 0.7,
    command: ['sh', '-c', `mkdir -p /a/etc /t; for i in $(seq 50); do echo inside > /a/etc/$i; done; ${swap}`],
  });
  for (let round = 0, until = Date.now() + 8000; round < 3 || Date.now() < until; round++) {
    const archive = await exported(container);
    expect(archive.includes('canary of this host') || archive.includes('mounted\n')).toBe(false);
    expect(tarNames(archive)).toEqual(expect.arrayContaining(['bin/busybox', 'root/']));
  }
  await container.close();
}, 120_000);

function once(stream: Readable, event: string): Promise<unknown> {
  return new Promise((resolve) => stream.once(event, resolve));
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
