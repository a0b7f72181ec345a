import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { TestBed } from '../support/busybox';
import { limitFile } from '../support/cgroup-files';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const mib = 1024 * 1024;
const idle = { network: 'none', command: ['sleep', '1000'] } as const;

test('limits change while it runs, also of controllers it had no limit of, and stay over a restart', async () => {
  const container = await bed.runtime.run(bed.busybox, { ...idle, command: [...idle.command], memory: '64m' });
  expect((await container.inspect()).limits).toEqual({ memory: 64 * mib, memorySwap: 128 * mib });
  await container.update({ memory: '96m', pids: 50, cpus: 0.5, cpuShares: 512, cpuset: '0' });
  const check = async (): Promise<void> => {
    expect((await container.inspect()).limits).toEqual({
      memory: 96 * mib,
      memorySwap: 192 * mib,
      pids: 50,
      cpus: 0.5,
      cpuShares: 512,
      cpuset: '0',
    });
    expect(limitFile(container.id, 'memory.max', 'memory.limit_in_bytes')).toBe(String(96 * mib));
    expect(limitFile(container.id, 'pids.max')).toBe('50');
    expect(limitFile(container.id, 'cpu.cfs_quota_us', 'cpu.max')).toMatch(/^50000/);
    expect(limitFile(container.id, 'cpuset.cpus')).toBe('0');
    const { stdout } = await container.exec(['grep', 'Cpus_allowed_list', '/proc/1/status']);
    expect(stdout).toBe('Cpus_allowed_list:\t0\n');
  };
  await check();
  await container.restart({ timeoutMs: 0 });
  await check();
  await container.close();
});

test('all or nothing: what the kernel refuses leaves everything as it was', async () => {
  const container = await bed.runtime.run(bed.busybox, {
    ...idle,
    command: [...idle.command],
    memory: '64m',
    pids: 40,
  });
  const { limits } = await container.inspect();
  const files = (): string[] => [
    limitFile(container.id, 'memory.max', 'memory.limit_in_bytes'),
    limitFile(container.id, 'pids.max'),
  ];
  const before = files();
  const refused = container.update({ memory: '80m', pids: 99, cpuset: '4000' });
  await expect(refused).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION', details: { option: 'cpuset' } });
  expect(files()).toEqual(before);
  expect((await container.inspect()).limits).toEqual(limits);
  expect(readdirSync(join(bed.root, 'containers', container.id))).not.toContain('config.json.update');
  await expect(container.update({ memorySwap: '10m' })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await expect(container.update({ cpu: 1 } as object)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await container.close();
});

test('of a stopped one the next start has them; a policy holds from its next end on', async () => {
  const container = await bed.runtime.create(bed.busybox, {
    network: 'none',
    detached: true,
    command: ['sh', '-c', 'exit 3'],
  });
  await container.update({ memory: '32m', restart: 'on-failure:1' });
  expect(await container.inspect()).toMatchObject({
    status: 'created',
    limits: { memory: 32 * mib },
    restart: { policy: 'on-failure', maxRetries: 1 },
  });
  await container.start();
  for (const deadline = Date.now() + 5000; (await container.inspect()).status !== 'exited' && Date.now() < deadline;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(await container.inspect()).toMatchObject({ status: 'exited', exitCode: 3, restartCount: 1 });
  await container.update({ restart: 'no' });
  expect((await container.inspect()).restart).toEqual({ policy: 'no' });
  await container.remove();
  await expect(container.update({ pids: 5 })).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
});
