import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Container, CreateOptions } from '../../lib';
import type { RuntimeSpec } from '../../lib/oci/spec-types';
import { isLocked } from '../../lib/store/locks';
import { busyboxImage, TestBed } from '../support/busybox';
import { until } from '../support/until';

let bed: TestBed;
let withVolume: string;
beforeAll(async () => {
  bed = await TestBed.make();
  withVolume = await bed.add(
    'test/data:1',
    busyboxImage({ Volumes: { '/data': {} } }, [
      { name: 'data/', type: '5', mode: 0o750, uid: 1000, gid: 50 },
      { name: 'data/seed', content: 'of the image' },
      { name: 'old/', type: '5' },
      { name: 'old/first', content: '1' },
      { name: 'old/second', content: '2' },
    ]),
  );
});
afterAll(async () => {
  await bed.remove();
});

const quiet: CreateOptions = { network: 'none', command: ['sleep', '1000'] };

const frozenLayers = (): string[] => {
  const folder = join(bed.root, 'frozen');
  return existsSync(folder) ? readdirSync(folder) : [];
};
const configOf = ({ id }: Container): RuntimeSpec =>
  JSON.parse(readFileSync(join(bed.root, 'containers', id, 'config.json'), 'utf8')) as RuntimeSpec;

async function sh(container: Container, script: string): Promise<string> {
  return (await container.exec(['sh', '-c', script], { check: true })).stdout.trim();
}

async function changes(container: Container): Promise<string[]> {
  const letters = { added: 'A', modified: 'C', deleted: 'D' };
  return (await container.diff()).map(({ kind, path }) => `${letters[kind]} ${path}`);
}

/** One that has run the script and ended. */
async function stoppedAfter(script: string, options: CreateOptions = {}, image = bed.busybox): Promise<Container> {
  const container = await bed.runtime.run(image, { ...quiet, ...options });
  await sh(container, script);
  await container.stop({ timeoutMs: 0 });
  return container;
}

test('a fork of a stopped container has its files, and what either changes from then on is its own', async () => {
  const base = await stoppedAfter('echo base > /a; mkdir -p /d/e; echo deep > /d/e/f; rm /etc/group; chmod 711 /home');
  const fork = await base.fork();
  expect(fork.name).not.toBe(base.name);
  expect(await sh(fork, 'cat /a /d/e/f; stat -c %a /home; ls /etc/group 2>&1 || true')).toMatch(
    /^base\ndeep\n711\nls: \/etc\/group/,
  );
  await sh(fork, 'echo fork > /a; rm -r /d; echo mine > /etc/group');
  await base.start();
  expect(await sh(base, 'cat /a /d/e/f; test ! -e /etc/group')).toBe('base\ndeep');
  await sh(base, 'echo later > /a; rm /d/e/f');
  expect(await sh(fork, 'cat /a /etc/group; test ! -e /d')).toBe('fork\nmine');
  // Of its own files it's all one which layer they are in.
  expect(await changes(base)).toEqual(['A /a', 'A /d', 'A /d/e', 'C /etc', 'D /etc/group', 'C /home']);
  expect(await changes(fork)).toEqual(['A /a', 'C /etc', 'C /etc/group', 'C /home']);
  await base.remove({ force: true });
  expect(await sh(fork, 'cat /a')).toBe('fork');
  await fork.restart({ timeoutMs: 0 });
  expect(await sh(fork, 'cat /a /etc/group; stat -c %a /home')).toBe('fork\nmine\n711');
  expect(frozenLayers()).toHaveLength(1);
  await fork.close();
  expect(frozenLayers()).toEqual([]);
});

test('a layer is made of what is new, and of nothing when nothing is', async () => {
  const base = await bed.runtime.create(bed.busybox, { ...quiet, files: [{ path: '/etc/laid', content: 'in' }] });
  const first = await base.fork();
  expect(await sh(first, 'cat /etc/laid')).toBe('in');
  const second = await base.fork();
  expect(frozenLayers()).toHaveLength(1);
  expect(configOf(second).dinghy.rootfs.lower).toEqual(configOf(base).dinghy.rootfs.lower);
  expect(await changes(base)).toEqual(['C /etc', 'A /etc/laid']);
  await base.start();
  expect(await sh(base, 'cat /etc/laid; echo more > /more')).toBe('in');
  await base.stop({ timeoutMs: 0 });
  const third = await base.fork();
  expect(await sh(third, 'cat /etc/laid /more')).toBe('inmore');
  expect(await sh(first, 'ls /more 2>/dev/null || echo none')).toBe('none');
  expect(frozenLayers()).toHaveLength(2);
  await Promise.all([base, first, second, third].map((each) => each.close()));
  expect(frozenLayers()).toEqual([]);
});

test('the mode and owner of the root folder, which no name in it tells, are kept', async () => {
  const base = await stoppedAfter('chmod 711 / && chown 1000:50 /');
  const forks = [await base.fork(), await base.fork()];
  for (const fork of forks) {
    expect(await sh(fork, 'stat -c "%a %u %g" /')).toBe('711 1000 50');
  }
  await Promise.all([base, ...forks].map((each) => each.close()));
});

test('folders that were made anew hide what was below, through any number of layers', async () => {
  const base = await stoppedAfter('rm -r /old && mkdir /old && echo 3 > /old/third', {}, withVolume);
  expect(await changes(base)).toEqual(['C /old', 'D /old/first', 'D /old/second', 'A /old/third']);
  const fork = await base.fork();
  await sh(fork, 'echo 4 > /old/fourth; rm /old/third');
  await fork.stop({ timeoutMs: 0 });
  const grandchild = await fork.fork();
  const told = ['C /old', 'D /old/first', 'A /old/fourth', 'D /old/second'];
  expect(await sh(grandchild, 'ls /old')).toBe('fourth');
  expect(await changes(grandchild)).toEqual(told);
  expect(await changes(fork)).toEqual(told);
  let archive = 0;
  for await (const chunk of await grandchild.export()) {
    archive += (chunk as Buffer).length;
  }
  expect(archive).toBeGreaterThan(10_000);
  await Promise.all([base, fork, grandchild].map((each) => each.close()));
  expect(frozenLayers()).toEqual([]);
});

test('options are inherited and may be overridden; names, host ports and reuse are not', async () => {
  const base = await bed.runtime.run(bed.busybox, {
    name: 'original',
    command: ['sh', '-c', 'echo "ready as $WHO"; exec sleep 1000'],
    env: { WHO: 'base', KEEP: 'yes' },
    labels: { suite: 'one' },
    ports: ['127.0.0.1:0:80', 81],
    hostname: 'asked',
    waitFor: { log: /READY AS \w+/i },
    memory: '64m',
    workdir: '/tmp',
    reuse: 'a key',
  });
  await base.update({ memory: '96m' });
  await base.stop({ timeoutMs: 0 });
  const fork = await base.fork({ env: { WHO: 'fork' }, labels: { suite: 'two' }, name: 'copy' });
  const told = await fork.inspect();
  expect(told).toMatchObject({ name: 'copy', hostname: 'asked', workdir: '/tmp', labels: { suite: 'two' } });
  expect(told.limits.memory).toBe(96 * 1024 * 1024);
  expect(told.env).toMatchObject({ WHO: 'fork' });
  expect(new Set(told.ports.map(({ containerPort }) => containerPort))).toEqual(new Set([80, 81]));
  // Awaited: the line is there.
  const lines: string[] = [];
  for await (const { line } of fork.logs()) lines.push(line);
  expect(lines).toEqual(['ready as fork']);
  await base.start();
  expect((await base.inspect()).networks['bridge']!.address).not.toBe(told.networks['bridge']!.address);
  await expect(fork.fork({ reuse: 'x' } as object)).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
    details: { option: 'reuse' },
  });
  await expect(base.fork({ memory: '1m' })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await Promise.all([base, fork].map((each) => each.close()));
});

test('a host port of the base is any free one of the fork, which runs beside it', async () => {
  const base = await bed.runtime.run(bed.busybox, { command: ['sleep', '1000'], ports: [8080] });
  const { port } = await base.port(8080);
  await base.close();
  const fixed = await bed.runtime.create(bed.busybox, {
    command: ['sleep', '1000'],
    ports: [`127.0.0.1:${port}:8080`],
  });
  const fork = await fixed.fork();
  await fixed.start();
  expect((await fixed.port(8080)).port).toBe(port);
  expect((await fork.port(8080)).port).not.toBe(port);
  await Promise.all([fixed, fork].map((each) => each.close()));
});

describe('anonymous volumes', () => {
  test('come along with owner and mode, and are each its own from then on', async () => {
    const base = await stoppedAfter('mkdir -p /data/dir/in; echo 1 > /data/dir/in/row; rm /data/seed', {}, withVolume);
    const fork = await base.fork();
    expect(await sh(fork, 'stat -c "%a %u %g" /data; cat /data/dir/in/row; test ! -e /data/seed')).toBe(
      '750 1000 50\n1',
    );
    // A database renames folders, which on a root file system gives EXDEV.
    await sh(fork, 'mv /data/dir /data/moved; echo 2 > /data/moved/in/row');
    await base.start();
    expect(await sh(base, 'cat /data/dir/in/row; stat -c "%a %u %g" /data')).toBe('1\n750 1000 50');
    await sh(base, 'echo 3 > /data/dir/in/row');
    await fork.stop({ timeoutMs: 0 });
    const grandchild = await fork.fork();
    expect(await sh(grandchild, 'cat /data/moved/in/row; ls /data')).toBe('2\nmoved');
    await base.close();
    expect(await sh(grandchild, 'cat /data/moved/in/row')).toBe('2');
    await Promise.all([fork, grandchild].map((each) => each.close()));
    expect(frozenLayers()).toEqual([]);
    expect(readdirSync(join(bed.root, 'volumes'))).toEqual([]);
  });

  test('are seen by copyTo and copyFrom of a stopped base and of its forks', async () => {
    const base = await stoppedAfter('echo 1 > /data/row', { detached: true }, withVolume);
    const fork = await base.fork();
    await fork.stop({ timeoutMs: 0 });
    const target = join(bed.folder, 'copied');
    mkdirSync(target);
    writeFileSync(join(target, 'new'), 'laid');
    for (const container of [base, fork]) {
      await container.copyTo(join(target, 'new'), `/data/${container.name}`);
      await container.copyFrom('/data/row', join(target, container.name));
      expect(readFileSync(join(target, container.name), 'utf8')).toBe('1\n');
    }
    await fork.start();
    expect(await sh(fork, 'ls /data')).toBe([fork.name, 'row', 'seed'].sort().join('\n'));
    await Promise.all([fork, base].map((each) => each.remove({ force: true, volumes: true })));
    expect(frozenLayers()).toEqual([]);
  });

  test('one that never was written in is filled from the image in the fork', async () => {
    const base = await bed.runtime.create(withVolume, quiet);
    const fork = await base.fork();
    expect(await sh(fork, 'cat /data/seed; stat -c "%a %u" /data')).toBe('of the image750 1000');
    await Promise.all([base, fork].map((each) => each.close()));
  });

  test('one that another container has too is an error, and nothing has changed', async () => {
    const base = await stoppedAfter('echo 1 > /data/row', { name: 'owner' }, withVolume);
    const volume = (await base.inspect()).mounts[0]!.name!;
    const guest = await bed.runtime.create(bed.busybox, { ...quiet, name: 'guest', mounts: [`${volume}:/theirs`] });
    const before = readFileSync(join(bed.root, 'containers', base.id, 'config.json'), 'utf8');
    await expect(base.fork()).rejects.toMatchObject({
      code: 'ERR_VOLUME_IN_USE',
      details: { volume, containers: ['guest'] },
    });
    expect(readFileSync(join(bed.root, 'containers', base.id, 'config.json'), 'utf8')).toBe(before);
    expect(frozenLayers()).toEqual([]);
    await guest.close();
    const fork = await base.fork();
    // The other way round: what stands on layers is in one container.
    for (const mounts of [
      { mounts: [`${volume}:/theirs`] },
      { volumesFrom: ['owner'] },
      { volumesFrom: [fork.name] },
    ]) {
      await expect(bed.runtime.create(bed.busybox, { ...quiet, ...mounts })).rejects.toMatchObject({
        code: 'ERR_VOLUME_IN_USE',
      });
    }
    await fork.close();
    await base.close();
  });

  test('what it has of others by volumesFrom is its own once they are gone', async () => {
    const other = await stoppedAfter(
      'echo 1 > /data/row',
      { name: 'other', mounts: ['kept-volume:/named'] },
      withVolume,
    );
    const base = await stoppedAfter('echo 2 >> /data/row; echo n > /named/n', { volumesFrom: ['other'] });
    await expect(base.fork()).rejects.toMatchObject({ code: 'ERR_VOLUME_IN_USE', details: { containers: ['other'] } });
    await other.close();
    const fork = await base.fork();
    expect(await sh(fork, 'cat /data/row /named/n; echo 3 >> /data/row')).toBe('1\n2\nn');
    await base.start();
    expect(await sh(base, 'cat /data/row')).toBe('1\n2');
    await Promise.all([base, fork].map((each) => each.close()));
    await (await bed.runtime.volume('kept-volume')).remove();
  });
});

test('what a kill left undone of the freezing is done when the container is next needed', async () => {
  const base = await stoppedAfter('echo kept > /file', { detached: true });
  const { rootfs } = configOf(base).dinghy;
  const to = join(bed.root, 'frozen', 'a'.repeat(24));
  for (const step of ['decided', 'moved'] as const) {
    await until('nobody serves it', () => !isLocked(join(bed.root, 'containers', base.id, 'lock')));
    const spec = configOf(base);
    spec.dinghy.rootfs = { ...rootfs, lower: [to, ...rootfs.lower], frozen: 1 };
    spec.dinghy.freezing = [{ from: rootfs.upper, to }];
    mkdirSync(join(bed.root, 'frozen'), { recursive: true });
    if (step === 'decided') {
      mkdirSync(`${rootfs.upper}.new`, { mode: 0o755 });
    } else {
      // As it was before, and then one step further.
      renameSync(rootfs.upper, `${rootfs.upper}.new`);
    }
    writeFileSync(join(bed.root, 'containers', base.id, 'config.json'), JSON.stringify(spec));
    await base.start();
    expect(await sh(base, 'cat /file')).toBe('kept');
    await base.stop({ timeoutMs: 0 });
    expect(existsSync(`${rootfs.upper}.new`)).toBe(false);
  }
  expect(await changes(base)).toEqual(['A /file']);
  const fork = await base.fork();
  expect(await sh(fork, 'cat /file')).toBe('kept');
  await Promise.all([fork, base].map((each) => each.remove({ force: true })));
  expect(frozenLayers()).toEqual([]);
});

test('a process killed while it forks leaves the base whole, and nothing else', async () => {
  const base = await stoppedAfter('echo kept > /file', { detached: true });
  for (let round = 0; round < 6; round++) {
    const { child, ended } = bed.child(
      `const base = await runtime.container(given.id);
       say('forking');
       for (;;) await (await base.fork({ detached: false })).close();`,
      { id: base.id },
    );
    await new Promise<void>((resolve) => child.stdout!.once('data', () => resolve()));
    await new Promise((resolve) => setTimeout(resolve, 15 + round * 13));
    child.kill('SIGKILL');
    await ended;
  }
  await base.start();
  expect(await sh(base, 'cat /file')).toBe('kept');
  await base.remove({ force: true });
  // What is left of the killed ones' forks goes with their supervisors, or with who looks next.
  await until('the forks are gone', async () => (await bed.newRuntime().containers({ all: true })).length === 0);
  await bed.runtime.prune({ containers: true });
  expect(frozenLayers()).toEqual([]);
});

test('prune takes what no container stands on', async () => {
  const base = await stoppedAfter('head -c 3000000 /dev/zero > /big', { detached: true, autoRemove: false });
  const fork = await base.fork({ autoRemove: true });
  await base.remove();
  expect(frozenLayers()).toHaveLength(1);
  expect((await bed.runtime.prune({ containers: true })).freedBytes).toBe(0);
  await fork.stop({ timeoutMs: 0 });
  await until('it has removed itself', () => !existsSync(join(bed.root, 'containers', fork.id)));
  expect((await bed.runtime.prune({ containers: true })).freedBytes).toBeGreaterThan(3_000_000);
  expect(frozenLayers()).toEqual([]);
});

test('of a container that is gone', async () => {
  const base = await stoppedAfter('true', { detached: true });
  await base.remove();
  await expect(base.fork()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
});
