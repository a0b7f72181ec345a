import type { ContainerFilters } from '../../lib';
import { busyboxImage, TestBed } from '../support/busybox';
import { until } from '../support/until';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const quiet = { network: 'none' } as const;
const server = ['sh', '-c', 'sleep 0.3; touch /ready; exec sleep 1000'];

test('run waits until the health check is content; inspect and events tell what it found', async () => {
  const since = new Date();
  const container = await bed.runtime.run(bed.busybox, {
    ...quiet,
    command: server,
    healthcheck: { test: 'echo looking; [ -e /ready ]', intervalMs: 50, startPeriodMs: 5000, startIntervalMs: 50 },
    waitFor: { healthy: true },
  });
  const { health } = await container.inspect();
  expect(health).toMatchObject({ status: 'healthy', failingStreak: 0 });
  const last = health!.log.at(-1)!;
  expect(last).toEqual({ start: expect.any(Date), end: expect.any(Date), exitCode: 0, output: 'looking\n' });
  expect(last.end.getTime()).toBeGreaterThanOrEqual(last.start.getTime());
  expect(health!.log[0]).toMatchObject({ exitCode: 1 });
  await container.exec(['rm', '/ready']);
  await until('it is unhealthy', async () => (await container.inspect()).health?.status === 'unhealthy');
  const actions: string[] = [];
  for await (const { action } of bed.runtime.events({
    since,
    until: new Date(),
    filters: { container: container.id },
  })) {
    actions.push(action);
  }
  expect(actions.filter((action) => action.startsWith('health_status'))).toEqual([
    'health_status: healthy',
    'health_status: unhealthy',
  ]);
  await container.stop({ timeoutMs: 0 });
  expect((await container.inspect()).health?.status).toBe('unhealthy');
  await container.close();
});

test("an image's health check is used, changed in part, or switched off", async () => {
  const config = { Healthcheck: { Test: ['CMD-SHELL', 'echo from the image'], Interval: 40e6 } };
  const image = await bed.add('test/checked:1', busyboxImage(config));
  const command = ['sleep', '1000'];
  const [own, changed, off] = await Promise.all([
    bed.runtime.run(image, { ...quiet, command, waitFor: { healthy: true } }),
    bed.runtime.run(image, { ...quiet, command, healthcheck: { test: ['false'], retries: 2 } }),
    bed.runtime.run(image, { ...quiet, command, healthcheck: { test: 'none' } }),
  ]);
  expect((await own.inspect()).health?.log[0]).toMatchObject({ output: 'from the image\n' });
  await until('it is unhealthy', async () => (await changed.inspect()).health?.status === 'unhealthy');
  expect((await changed.inspect()).health?.failingStreak).toBeGreaterThanOrEqual(2);
  expect(await off.inspect()).not.toHaveProperty('health');
  const found = async (filters: ContainerFilters): Promise<string[]> =>
    (await bed.runtime.containers({ filters })).map(({ id }) => id);
  expect(await found({ health: 'healthy' })).toEqual([own.id]);
  expect(await found({ health: 'unhealthy' })).toEqual([changed.id]);
  expect(await found({ health: 'none' })).toEqual([off.id]);
  expect((await found({ health: ['healthy', 'none'] })).sort()).toEqual([own.id, off.id].sort());
  await expect(found({ health: 'well' })).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
    message: expect.stringContaining('unhealthy'),
  });
  await expect(off.waitFor({ healthy: true })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await Promise.all([own, changed, off].map((container) => container.close()));
});

test('waiting for health ends with the container, and in time', async () => {
  const healthcheck = { test: 'false', intervalMs: 50 };
  const ending = bed.runtime.run(bed.busybox, {
    ...quiet,
    healthcheck,
    command: ['sh', '-c', 'sleep 0.3; exit 6'],
    waitFor: { healthy: true },
  });
  await expect(ending).rejects.toMatchObject({ code: 'ERR_CONTAINER_EXITED', exitCode: 6 });
  const container = await bed.runtime.run(bed.busybox, { ...quiet, healthcheck, command: ['sleep', '1000'] });
  const waiting = container.waitFor({ healthy: true }, { timeoutMs: 300 });
  await expect(waiting).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
  await container.close();
  const untested = bed.runtime.run(bed.busybox, { ...quiet, healthcheck: { retries: 3 } });
  await expect(untested).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
});
