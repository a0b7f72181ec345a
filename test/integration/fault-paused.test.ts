import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Container, ContainerOptions } from '../../lib';
import { TestBed } from '../support/busybox';
import { until } from '../support/until';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const count = 'i=0; while true; do i=$((i+1)); echo $i > /counter; sleep 0.02; done';

async function runPaused(script: string, options: ContainerOptions = {}): Promise<Container> {
  const container = await bed.runtime.run(bed.busybox, {
    network: 'none',
    command: ['sh', '-c', `echo ready; ${script}`],
    ...options,
  });
  await container.waitFor({ log: 'ready' });
  await container.pause();
  return container;
}

test('a paused container stands still, and goes on where it was', async () => {
  const container = await runPaused(count);
  const before = counter(container);
  await pass(300);
  expect(counter(container)).toBe(before);
  await container.unpause();
  await until('it counts again', () => counter(container) !== before);
  await container.close();
});

test('a signal for a paused container waits, and arrives when it runs again', async () => {
  const container = await runPaused("trap 'echo got TERM; exit 9' TERM; while true; do sleep 0.02; done");
  await container.kill('SIGTERM');
  await pass(200);
  expect((await container.inspect()).status).toBe('paused');
  expect(await logOf(container)).not.toContain('got TERM');
  await container.unpause();
  expect(await container.wait()).toMatchObject({ exitCode: 9 });
  expect(await logOf(container)).toContain('got TERM');
  await container.close();
});

test('a kill ends a paused container at once', async () => {
  const container = await runPaused(count);
  const startMs = performance.now();
  await container.kill('SIGKILL');
  expect(await container.wait()).toMatchObject({ exitCode: 137 });
  expect(performance.now() - startMs).toBeLessThan(1000);
  await container.close();
});

test('stop() of a paused container ends in time, by a kill', async () => {
  const container = await runPaused(`trap '' TERM; ${count}`, { detached: true });
  const startMs = performance.now();
  await container.stop({ timeoutMs: 1000 });
  expect(performance.now() - startMs).toBeLessThan(3000);
  expect(await container.wait()).toMatchObject({ exitCode: 137 });
  await container.remove();
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
});

test('remove() of a paused container needs force, and then leaves nothing', async () => {
  const container = await runPaused(count, { detached: true });
  const { pid = 0 } = await container.inspect();
  await expect(container.remove()).rejects.toMatchObject({ code: 'ERR_CONTAINER_RUNNING' });
  await container.remove({ force: true });
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
});

test('exec into a paused container is refused at once, and works once it runs', async () => {
  const container = await runPaused(count);
  const startMs = performance.now();
  await expect(container.exec(['true'])).rejects.toMatchObject({ message: expect.stringContaining('paused') });
  expect(performance.now() - startMs).toBeLessThan(500);
  await container.unpause();
  expect(await container.exec(['true'])).toMatchObject({ exitCode: 0 });
  await container.close();
});

test('the supervisor is outside the frozen cgroup, in every hierarchy', async () => {
  const container = await runPaused(count);
  const { pid = 0 } = await container.inspect();
  const own = `/dinghy/${container.id}`;
  expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toContain(own);
  expect(readFileSync(`/proc/${supervisorOf(container)}/cgroup`, 'utf8')).not.toContain(own);
  await container.close();
});

// Seen from outside: nothing can be run inside a paused one.
function counter(container: Container): string {
  const upper = join(bed.root, 'containers', container.id, 'upper');
  const inUpper = join(upper, 'counter');
  if (existsSync(inUpper)) return readFileSync(inUpper, 'utf8');
  const state = readState(container);
  return readFileSync(`/proc/${state.pid}/root/counter`, 'utf8');
}

function readState(container: Container): { pid: number; supervisorPid: number } {
  const text = readFileSync(join(bed.root, 'containers', container.id, 'state.json'), 'utf8');
  return JSON.parse(text) as { pid: number; supervisorPid: number };
}

function supervisorOf(container: Container): number {
  return readState(container).supervisorPid;
}

async function logOf(container: Container): Promise<string> {
  const lines: string[] = [];
  for await (const { line } of container.logs()) {
    lines.push(line);
  }
  return lines.join('\n');
}

async function pass(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
