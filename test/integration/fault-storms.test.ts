import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Container } from '../../lib';
import { TestBed } from '../support/busybox';
import { until } from '../support/until';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const quiet = { network: 'none' } as const;

test('a fork bomb stays within its limit: the host answers, and kill and removal are quick', async () => {
  const container = await bed.runtime.run(bed.busybox, {
    ...quiet,
    detached: true,
    pids: 64,
    // A shell that cannot fork ends; those that are left go on forking, below a first process that does not.
    command: ['sh', '-c', 'bomb() { bomb & bomb & while true; do (true); done; }; bomb & exec sleep 1000'],
  });
  const lateness = watchLateness();
  try {
    const pids = cgroupsOf([container.id]).find((path) => existsSync(join(path, 'pids.events')))!;
    await until('it is at its limit', () => !/^max 0$/m.test(readFileSync(join(pids, 'pids.events'), 'utf8')));
    await pass(1000);
    expect((await container.top()).length).toBeLessThanOrEqual(64);
    // Sixty busy processes share two processors with this one, so it is late; an unlimited bomb would stop it altogether.
    expect(lateness.stop()).toBeLessThan(2000);
    const startMs = performance.now();
    await container.kill('SIGKILL');
    expect(await container.wait()).toMatchObject({ exitCode: 137 });
    await container.remove();
    expect(performance.now() - startMs).toBeLessThan(5000);
  } finally {
    lateness.stop();
    await container.remove({ force: true }).catch(() => undefined);
  }
  expect(cgroupsOf([container.id])).toEqual([]);
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
});

test('a bystander’s copies of the mounts do not keep containers from being removed', async () => {
  const run = (): Promise<Container> =>
    bed.runtime.run(bed.busybox, {
      ...quiet,
      detached: true,
      command: ['sh', '-c', 'echo x > /written; sleep 1000'],
    });
  const containers = await Promise.all(Array.from({ length: 5 }, run));
  // What it copies stays mounted in its namespace, whatever is unmounted in this one.
  const bystander = spawn('unshare', ['-m', '--propagation', 'private', 'sleep', '1000'], { stdio: 'ignore' });
  try {
    await until('the bystander has its own mounts', () => commandOf(bystander) === 'sleep');
    await Promise.all(containers.map((container) => container.remove({ force: true })));
    for (const { id } of containers) {
      expect(existsSync(join(bed.root, 'containers', id))).toBe(false);
      expect(existsSync(join(bed.state, id.slice(0, 12)))).toBe(false);
    }
  } finally {
    const ended = new Promise((resolve) => bystander.once('exit', resolve));
    bystander.kill('SIGKILL');
    await ended;
  }
});

/** How late the timers of this process were at most, until it is stopped. */
function watchLateness(): { stop(): number } {
  let worstMs = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    worstMs = Math.max(worstMs, now - last - 10);
    last = now;
  }, 10);
  return {
    stop: () => {
      clearInterval(timer);
      return worstMs;
    },
  };
}

/** The cgroups of these containers and those below, in every hierarchy. */
function cgroupsOf(ids: readonly string[]): string[] {
  const roots = ['/sys/fs/cgroup', ...readdirSync('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name))];
  return roots
    .flatMap((root) => ids.map((id) => join(root, 'dinghy', id)))
    .filter((path) => existsSync(path))
    .flatMap((path) => [path, ...foldersBelow(path)]);
}

function foldersBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => [join(folder, name), ...foldersBelow(join(folder, name))]);
}

function commandOf({ pid }: ChildProcess): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
}

async function pass(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
