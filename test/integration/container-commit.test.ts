import { once } from 'node:events';
import { readdirSync, renameSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import type { Container, Image } from '../../lib';
import { TestBed } from '../support/busybox';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const quiet = { network: 'none' as const };

async function running(options: object = {}): Promise<Container> {
  return bed.runtime.run(bed.busybox, { ...quiet, command: ['sleep', '1000'], ...options });
}

const sh = (container: Container, script: string): Promise<unknown> =>
  container.exec(['sh', '-c', script], { check: true });

const output = async (image: Image | string, script: string): Promise<string> =>
  (await bed.runtime.exec(image, ['sh', '-c', script], { ...quiet, check: true })).stdout;

// What is in the store, as names of files.
function content(): string[] {
  return ['blobs/sha256', 'layers', 'tmp', 'fixes'].flatMap((folder) =>
    readdirSync(join(bed.root, folder)).map((name) => `${folder}/${name}`),
  );
}

// Names, kinds, modes, owners, sizes, times, targets and contents of all that is not mounted there.
const listing = `find / -xdev ! -path '/bin/*' ! -path '/proc*' ! -path '/sys*' ! -path '/dev*' ! -path '/etc/h*' ! -path /etc/resolv.conf ! -path / ! -path /etc |
  sort | while read -r name; do
    stat -c '%n %A %u:%g %t:%T %Y' "$name"; readlink "$name" 2>&1; test -f "$name" && stat -c %h "$name" && md5sum "$name"
  done; true`;

const changes = [
  'mkdir -p /a/deep/er && echo new > /a/deep/er/file && chown 1000:50 /a/deep/er/file && chmod 4750 /a/deep/er/file',
  'rm /etc/group && echo more >> /etc/passwd && rm -r /home && ln -s /etc/passwd /link && ln /a/deep/er/file /a/second',
  'mkfifo -m 0610 /fifo && mknod /null c 1 3 && rm -r /var && mkdir /var && echo x > /var/x',
  'touch -d "2001-02-03 04:05:06" /a/deep/er/file && truncate -s 5000000 /sparse && echo end >> /sparse',
  'echo n > "/line\nbreak" && chmod 0700 /tmp && dd if=/dev/urandom of=/random bs=65536 count=17 2>/dev/null',
].join(' && ');

test('an image of it has its files, in every state of it, and what was deleted stays so', async () => {
  for (const detached of [false, true]) {
    const container = await running({ detached });
    await sh(container, changes);
    const { stdout: before } = await container.exec(['sh', '-c', listing]);
    const seen: string[] = [];
    const commit = async (): Promise<void> => {
      const image = await container.commit();
      expect(image).toMatchObject({ references: [], layers: [expect.anything(), expect.anything()] });
      seen.push(image.layers[1]!);
      expect(await output(image, listing)).toBe(before);
      await image.remove();
    };
    await commit();
    await container.pause();
    await commit();
    await container.unpause();
    await container.stop({ timeoutMs: 0 });
    await commit();
    // The same files are the same layer.
    expect(new Set(seen).size).toBe(1);
    await container.start();
    await container.remove({ force: true });
    await expect(container.commit()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  }
});

test('of one that never ran: the files laid into it, or no layer at all', async () => {
  const plain = await bed.runtime.create(bed.busybox, quiet);
  const image = await plain.commit({ reference: 'mine/plain:1' });
  expect(image.references).toEqual(['mine/plain:1']);
  const base = await bed.runtime.image(bed.busybox);
  expect(image.layers).toEqual(base.layers);
  expect((await image.history()).at(-1)).toMatchObject({ emptyLayer: true, size: 0 });
  await plain.close();

  const files = [{ path: '/etc/app.conf', content: 'port = 80\n' }];
  const laid = await bed.runtime.create(bed.busybox, { ...quiet, files });
  const more = await laid.commit();
  await laid.close();
  expect(more.layers).toHaveLength(2);
  expect(await output(more, 'cat /etc/app.conf; ls /etc')).toBe(
    'port = 80\napp.conf\ngroup\nhostname\nhosts\npasswd\nresolv.conf\n',
  );
  // One that only ran: what its start made as places for mounts is nobody's change.
  const ran = await running();
  expect((await ran.commit()).layers).toEqual(base.layers);
  await ran.close();
});

test('what it was made with is what the image says; options and instructions over that', async () => {
  const container = await bed.runtime.create(bed.busybox, {
    entrypoint: ['/bin/sh', '-c'],
    command: ['echo $MINE'],
    env: { MINE: 'made', FROM_IMAGE: 'no' },
    user: 'app',
    workdir: '/tmp',
    ports: [8080],
    mounts: [{ type: 'volume', target: '/data' }, 'named-volume:/named'],
    labels: { a: '1', b: '1' },
    stopSignal: 'SIGQUIT',
    healthcheck: { test: ['CMD', 'true'], retries: 2 },
  });
  const own = {
    env: { PATH: '/bin', FROM_IMAGE: 'no', MINE: 'made' },
    entrypoint: ['/bin/sh', '-c'],
    command: ['echo $MINE'],
    user: 'app',
    workdir: '/tmp',
    ports: ['8080/tcp'],
    volumes: ['/data'],
    labels: { a: '1', b: '1' },
    stopSignal: 'SIGQUIT',
    healthcheck: { test: ['CMD', 'true'], retries: 2 },
  };
  expect((await container.commit()).config).toEqual(own);
  const image = await container.commit({
    reference: 'mine/configured',
    author: 'A. Nonymous',
    message: 'as it should be',
    config: { labels: { b: '2' }, env: { MORE: 'yes' }, ports: ['53/udp'], workdir: '/home' },
    changes: ['ENV PATH=/usr/bin:$PATH', 'WORKDIR app', 'ENTRYPOINT ["/bin/echo"]', 'LABEL c=3'],
  });
  expect(image.config).toEqual({
    ...own,
    env: { ...own.env, PATH: '/usr/bin:/bin', MORE: 'yes' },
    entrypoint: ['/bin/echo'],
    command: [],
    workdir: '/home/app',
    ports: ['8080/tcp', '53/udp'],
    labels: { a: '1', b: '2', c: '3' },
  });
  expect(image.references).toEqual(['mine/configured:latest']);
  const [first, last] = (await image.history()).slice(-2);
  expect(first).toMatchObject({ emptyLayer: false });
  expect(last).toMatchObject({ createdBy: 'echo $MINE', comment: 'as it should be', emptyLayer: true });
  await container.remove({ volumes: true });
  await (await bed.runtime.volume('named-volume')).remove();
});

test('each layer that a fork froze is a layer of it, deletions and replaced folders included', async () => {
  const base = await running();
  await sh(
    base,
    'echo one > /one; echo two > /two; mkdir -p /d/old /e; echo below > /d/old/f; rm /etc/group; touch /e/x',
  );
  await base.stop({ timeoutMs: 0 });
  const fork = await base.fork();
  await sh(fork, 'rm /one; echo more >> /two; rm -r /d; mkdir /d; echo new > /d/new; chmod 711 /e');
  await fork.stop({ timeoutMs: 0 });
  const last = await fork.fork();
  await sh(last, 'rm /d/new; echo back > /one; ln /two /three; rm -r /home');
  const { stdout: before } = await last.exec(['sh', '-c', listing]);
  const image = await last.commit({ reference: 'mine/forked:1' });
  expect(image.layers).toHaveLength(4);
  expect((await image.history()).slice(-3)).toMatchObject([
    { comment: 'frozen by a fork', emptyLayer: false },
    { comment: 'frozen by a fork', emptyLayer: false },
    { emptyLayer: false },
  ]);
  await Promise.all([base, fork, last].map((each) => each.remove({ force: true })));
  expect(await output(image, listing)).toBe(before);
  expect(await output(image, 'ls /d; test ! -e /home && cat /one /two && test ! -e /etc/group')).toBe(
    'back\ntwo\nmore\n',
  );
  await image.remove();
});

test('through an archive and back it is the same image', async () => {
  const container = await running();
  await sh(container, changes);
  const { stdout: before } = await container.exec(['sh', '-c', listing]);
  const image = await container.commit({ reference: 'mine/archived:1', changes: ['LABEL via=archive'] });
  await container.close();
  const archive = join(bed.folder, 'archive.tar');
  await image.save(archive);
  await image.remove();
  const [loaded] = await bed.runtime.load(archive);
  expect(loaded).toMatchObject({ id: image.id, layers: image.layers, references: ['mine/archived:1'] });
  expect(loaded!.config.labels).toEqual({ via: 'archive' });
  expect(await output(loaded!, listing)).toBe(before);
  await loaded!.remove();
});

const seen = 'cd /tmp; ls -A | grep -v socket | od -c; find . ! -name socket | wc -l; md5sum sparse; stat -c %h other';

test('hostile files come through, and what a layer cannot tell is refused by name', async () => {
  const container = await bed.runtime.run(bed.busybox, { ...quiet, command: ['sleep', '1000'] });
  await sh(
    container,
    [
      String.raw`cd /tmp; echo x > "$(printf 'a\nb')"; echo y > "$(printf '\377\376')"; echo z > ' -rf *'; mkdir ..x`,
      'truncate -s 30000000 sparse; echo 1 | dd of=sparse bs=1 seek=20000000 conv=notrunc 2>/dev/null; ln sparse other',
      'long=$(printf %0200d 1); for i in $(seq 40); do mkdir $long && cd $long; done',
      'mkdir .wh',
    ].join('; '),
  );
  // Elsewhere first: a socket's name is short when it is bound.
  const path = join(bed.folder, 'socket');
  const socket = createServer().listen(path);
  await once(socket, 'listening');
  renameSync(path, join(bed.root, 'containers', container.id, 'upper/tmp/socket'));
  const { stdout: before } = await container.exec(['sh', '-c', seen]);
  const image = await container.commit();
  socket.close();
  await sh(container, 'mkdir /tmp/.wh.hidden');
  await expect(container.commit()).rejects.toMatchObject({
    code: 'ERR_ARCHIVE',
    message: expect.stringContaining('tmp/.wh.hidden'),
  });
  await container.close();
  expect(await output(image, seen)).toBe(before);
  await image.remove();
});

test('bad options are refused before anything is touched', async () => {
  const container = await bed.runtime.create(bed.busybox, quiet);
  const before = content();
  for (const [options, code] of [
    [{ reference: 'Not A Name' }, 'ERR_INVALID_REFERENCE'],
    [{ reference: `mine@sha256:${'0'.repeat(64)}` }, 'ERR_INVALID_REFERENCE'],
    [{ changes: ['RUN make'] }, 'ERR_INVALID_OPTION'],
    [{ config: { ports: ['x'] } }, 'ERR_INVALID_OPTION'],
    [{ pause: 'no' }, 'ERR_INVALID_OPTION'],
    [{ mesage: 'x' }, 'ERR_INVALID_OPTION'],
  ] as const) {
    await expect(container.commit(options as object)).rejects.toMatchObject({ code });
  }
  expect(content()).toEqual(before);
  await container.close();
});
