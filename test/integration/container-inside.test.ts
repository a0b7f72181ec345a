import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';

import type { Container, CreateOptions, Runtime } from '../../lib';
import { cliPath } from '../support/e2e';
import { TestBed } from '../support/busybox';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

/** Asks until the answer is the wanted one. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 5000; !(await holds()); await new Promise((resolve) => setTimeout(resolve, 10))) {
    if (Date.now() > deadline) throw new Error('not within 5 s');
  }
}

const quiet: CreateOptions = { network: 'none', command: ['sleep', '1000'] };

async function changes(container: Container): Promise<string[]> {
  const letters = { added: 'A', modified: 'C', deleted: 'D' };
  return (await container.diff()).map(({ kind, path }) => `${letters[kind]} ${path}`);
}

describe('diff', () => {
  const work = [
    'echo more >> /etc/passwd && rm /etc/group && mkdir -p /a/b && echo x > /a/b/c && chown 1000 /home',
    'rm -r /var && mkdir /var && touch /var/new && ln -s x /soft && echo tmp > /tmp/t && echo v > /data/v',
  ].join(' && ');
  const expected = [
    'A /a',
    'A /a/b',
    'A /a/b/c',
    'A /data',
    'C /etc',
    'D /etc/group',
    'C /etc/passwd',
    'C /home',
    'A /soft',
    'C /tmp',
    'A /tmp/t',
    'C /var',
    'A /var/new',
  ];

  test('is the same running, paused, stopped and started again; nothing at first; not what is in volumes', async () => {
    for (const detached of [false, true]) {
      const container = await bed.runtime.run(bed.busybox, { ...quiet, detached, mounts: ['diff-data:/data'] });
      expect(await changes(container)).toEqual(['A /data']);
      await container.exec(['sh', '-c', work], { check: true });
      expect(await changes(container)).toEqual(expected);
      await container.pause();
      expect(await changes(container)).toEqual(expected);
      await container.unpause();
      await container.stop({ timeoutMs: 0 });
      expect(await changes(container)).toEqual(expected);
      await container.start();
      expect(await changes(container)).toEqual(expected);
      await container.remove({ force: true, volumes: true });
      await expect(container.diff()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
    }
  });

  test('of one that never ran is what was laid into it', async () => {
    const files = [{ path: '/etc/app.conf', content: 'x' }];
    const container = await bed.runtime.create(bed.busybox, { ...quiet, files });
    expect(await changes(container)).toEqual(['C /etc', 'A /etc/app.conf']);
    await container.close();
  });

  test('tells names of any bytes, and as many as there are', async () => {
    const container = await bed.runtime.run(bed.busybox, quiet);
    await container.exec([
      'sh',
      '-c',
      'mkdir /m && cd /m && touch "$(printf "\\377\\n")" && seq 1 20000 | xargs touch',
    ]);
    const found = await container.diff();
    expect(found).toHaveLength(20002);
    expect(found.at(-1)).toEqual({ kind: 'added', path: '/m/\udcff' });
    await container.close();
  });

  test('with the upper layer on tmpfs', async () => {
    // As where the data folder is itself on an overlay; what a host can do is remembered in this file.
    const state = join(bed.folder, 'tmpfs');
    mkdirSync(state, { mode: 0o700 });
    const key = [bed.root, release(), false].join(' ');
    writeFileSync(join(state, 'provider.json'), JSON.stringify({ key, provider: 'overlay-tmpfs' }));
    const runtime: Runtime = bed.newRuntime({ state });
    const container = await runtime.run(bed.busybox, quiet);
    await container.exec(['sh', '-c', 'touch /new && rm /etc/group']);
    expect(existsSync(join(state, container.id.slice(0, 12), 'upper/new'))).toBe(true);
    expect(await changes(container)).toEqual(['C /etc', 'D /etc/group', 'A /new']);
    await runtime.close();
  });

  test('an aborted one rejects, and unknown options are refused', async () => {
    const container = await bed.runtime.run(bed.busybox, quiet);
    await expect(container.diff({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await expect(container.diff({ signl: 1 } as object)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await container.close();
  });
});

describe('top', () => {
  test('tells of its processes, those of exec, and none of another', async () => {
    const container = await bed.runtime.run(bed.busybox, quiet);
    const other = await bed.runtime.run(bed.busybox, { ...quiet, command: ['sleep', '2000'] });
    await container.spawn(['sh', '-c', 'sleep 3000; true'], { user: 'app' });
    // Not before the shell's child has become what it runs.
    await until(async () => (await container.top()).some(({ command }) => command === 'sleep 3000'));
    const processes = await container.top();
    expect(processes.map(({ command }) => command).sort()).toEqual([
      'sh -c sleep 3000; true',
      'sleep 1000',
      'sleep 3000',
    ]);
    const { pid } = await container.inspect();
    const first = processes.find(({ containerPid }) => containerPid === 1)!;
    expect(first).toMatchObject({ pid, command: 'sleep 1000', name: 'sleep', user: 'root', uid: 0, state: 'S' });
    expect(Math.abs(Date.now() - first.startedAt.getTime())).toBeLessThan(60_000);
    const shell = processes.find(({ command }) => command.startsWith('sh'))!;
    expect(shell).toMatchObject({ uid: 1000 });
    expect(processes.find(({ command }) => command === 'sleep 3000')?.parentPid).toBe(shell.pid);
    await container.pause();
    expect(await container.top()).toHaveLength(3);
    await container.unpause();
    await container.stop({ timeoutMs: 0 });
    await expect(container.top()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
    await container.close();
    await other.close();
  });

  test('runs nothing of the container (CVE-2022-1227), and a process that names itself like another deceives nobody', async () => {
    const container = await bed.runtime.run(bed.busybox, quiet);
    await container.exec(['sh', '-c', 'rm /bin/ps; printf "#!/bin/sh\\ntouch /ran\\n" > /bin/ps; chmod +x /bin/ps']);
    await container.spawn(['sh', '-c', 'printf ") R 1 (x" > /proc/self/comm; read x']);
    await until(async () => (await container.top()).some(({ name }) => name === ') R 1 (x'));
    const odd = (await container.top()).find(({ name }) => name === ') R 1 (x')!;
    expect(odd).toMatchObject({ state: 'S' });
    expect(await changes(container)).not.toContain('A /ran');
    await container.close();
  });
});

describe('stats', () => {
  test('counts cpu, memory, pids and the limits', async () => {
    const container = await bed.runtime.run(bed.busybox, { ...quiet, memory: '64m', pids: 50 });
    const before = await container.stats();
    expect(before).toMatchObject({
      memory: { limitBytes: 64 * 1024 * 1024 },
      pids: { current: 1, limit: 50 },
      network: { receivedBytes: 0, sentBytes: 0, interfaces: {} },
    });
    expect(before.cpu.percent).toBeLessThan(20);
    expect(Math.abs(Date.now() - before.time.getTime())).toBeLessThan(5000);
    // Busy, with 20 MiB that are its own: a tmpfs page is not given back.
    const script = 'head -c 20m /dev/zero > /dev/shm/x; while :; do :; done';
    const child = await container.spawn(['sh', '-c', script]);
    await until(async () => (await container.stats()).memory.usageBytes > 20 * 1024 * 1024);
    const busy = await container.stats();
    expect(busy.pids.current).toBe(2);
    expect(busy.cpu.percent).toBeGreaterThan(10);
    expect(busy.cpu.usageMs).toBeGreaterThan(before.cpu.usageMs);
    expect(busy.memory.usageBytes).toBeLessThan(64 * 1024 * 1024);
    await child.kill('SIGKILL');
    await child.wait();
    await container.pause();
    expect((await container.stats()).pids.current).toBe(1);
    await container.unpause();
    await container.close();
  });

  test('counts what went over its interfaces', async () => {
    const serve = 'mkdir /www && head -c 1000000 /dev/zero > /www/file && exec httpd -f -p 80 -h /www';
    const [one, two] = await Promise.all([
      bed.runtime.run(bed.busybox, { command: ['sleep', '1000'] }),
      bed.runtime.run(bed.busybox, { command: ['sh', '-c', serve], waitFor: { port: 80 } }),
    ]);
    const address = Object.values((await two.inspect()).networks)[0]!.address!.replace(/\/.*/, '');
    await one.exec(['wget', '-q', '-O', '/dev/null', `http://${address}/file`], { check: true });
    expect((await one.stats()).network.receivedBytes).toBeGreaterThan(1_000_000);
    const { network } = await two.stats();
    expect(network.sentBytes).toBeGreaterThan(1_000_000);
    expect(Object.keys(network.interfaces)).toEqual(['eth0']);
    expect(network.interfaces['eth0']!.sentBytes).toBe(network.sentBytes);
    await Promise.all([one.close(), two.close()]);
  });

  test('a stream goes on at its interval, and ends with the container; break ends it, abort throws', async () => {
    const container = await bed.runtime.run(bed.busybox, quiet);
    const times: number[] = [];
    for await (const { time } of container.stats({ stream: true, intervalMs: 50 })) {
      times.push(time.getTime());
      if (times.length === 5) break;
    }
    expect(times[4]! - times[0]!).toBeGreaterThan(150);
    const aborted = new AbortController();
    const reading = (async () => {
      for await (const _ of container.stats({ stream: true, signal: aborted.signal }))
        setTimeout(() => aborted.abort(), 20);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'ABORT_ERR', name: 'AbortError' });
    const toTheEnd = (async () => {
      let count = 0;
      for await (const _ of container.stats({ stream: true, intervalMs: 20 })) count++;
      return count;
    })();
    setTimeout(() => void container.stop({ timeoutMs: 0 }), 200);
    expect(await toTheEnd).toBeGreaterThan(2);
    await expect(container.stats()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
    await container.start();
    expect((await container.stats()).pids.current).toBe(1);
    await expect(container.stats({ intervalMs: 1 })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await container.close();
    await expect(container.stats()).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
  });
});

test('the commands: top, diff, port, stats', async () => {
  const container = await bed.runtime.run(bed.busybox, { ...quiet, name: 'inside', detached: true });
  await container.exec(['touch', '/new']);
  const cli = (...args: string[]): string =>
    execFileSync(process.execPath, [cliPath, ...args], {
      encoding: 'utf8',
      env: { ...process.env, DINGHY_ROOT: bed.root, DINGHY_STATE: bed.state },
    });
  expect(cli('diff', 'inside')).toBe('A /new\n');
  const [heading, line] = cli('top', 'inside').split('\n');
  expect(heading!.split(/ +/)).toEqual(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']);
  expect(line).toMatch(/^root +\d+ +\d+ +\d+ +\S+ +\? +00:00:0\d +sleep 1000$/);
  expect(cli('top', 'inside', '-o', 'pid,args').split('\n')[1]).toMatch(/^\d+ +sleep 1000$/);
  expect(cli('port', 'inside')).toBe('');
  expect(cli('stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}} {{.NetIO}}')).toBe('inside 1 0B / 0B\n');
  expect(cli('stats', '--no-stream', 'inside').split('\n')[1]).toMatch(
    /^[0-9a-f]{12} +inside +\d+\.\d\d% +[\d.]+[KM]iB \/ [\d.]+GiB +\d+\.\d\d% +0B \/ 0B +\S+ \/ \S+ +1$/,
  );
  await container.remove({ force: true });
});
