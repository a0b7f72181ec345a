import { existsSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
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

async function withContainer(
  options: Parameters<typeof bed.runtime.run>[1],
  use: (container: Container) => Promise<void>,
): Promise<void> {
  const container = await bed.runtime.run(bed.busybox, options);
  try {
    await use(container);
  } finally {
    await container.remove({ force: true, volumes: true }).catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'ERR_CONTAINER_NOT_FOUND') {
        throw error;
      }
    });
  }
}

function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

test('a restart keeps address and ports; waitFor, logs and inspect see it through', async () => {
  const serve =
    'echo "run $(cat /n 2>/dev/null || echo 1)" | tee /www/index.html; echo 2 >/n; exec httpd -f -p 80 -h /www';
  await withContainer(
    {
      command: ['sh', '-c', `mkdir -p /www; ${serve}`],
      ports: [80],
      restart: 'always',
      waitFor: { port: 80 },
    },
    async (container) => {
      const before = await container.inspect();
      const { port } = await container.port(80);
      expect(await fetchText(`http://127.0.0.1:${port}/`)).toBe('run 1\n');
      expect(before).toMatchObject({ status: 'running', restartCount: 0, restart: { policy: 'always' } });
      const ended = container.wait();
      await container.exec(['sh', '-c', 'kill -9 $(pidof httpd)']).catch(() => undefined);
      process.kill(before.pid!, 'SIGKILL');
      expect(await ended).toMatchObject({ exitCode: 137, signal: 'SIGKILL' });
      await container.waitFor([{ log: 'run 2' }, { port: 80 }]);
      const after = await container.inspect();
      expect(after).toMatchObject({
        status: 'running',
        restartCount: 1,
        networks: before.networks,
        ports: before.ports,
      });
      expect(after.pid).not.toBe(before.pid);
      expect(after).not.toHaveProperty('exitCode');
      expect(await fetchText(`http://127.0.0.1:${port}/`)).toBe('run 2\n');
    },
  );
});

test('without anybody there, a detached one is started again and again', async () => {
  const maker = bed.newRuntime();
  const options = { ...quiet, detached: true, restart: 'on-failure:2', command: ['sh', '-c', 'echo here; exit 3'] };
  const { id } = await maker.run(bed.busybox, options as Parameters<typeof maker.run>[1]);
  await maker.close();
  const container = await bed.runtime.container(id);
  await until('it has given up', async () => (await container.inspect()).status === 'exited');
  expect(await container.inspect()).toMatchObject({
    exitCode: 3,
    restartCount: 2,
    restart: { policy: 'on-failure', maxRetries: 2 },
  });
  const lines: unknown[] = [];
  for await (const { line, run } of container.logs()) {
    lines.push([line, run]);
  }
  expect(lines).toEqual([
    ['here', 1],
    ['here', 2],
    ['here', 3],
  ]);
  // The next start goes on with the numbers, and begins the policy anew.
  await container.start();
  await until('it has given up again', async () => (await container.inspect()).status === 'exited');
  expect((await container.inspect()).restartCount).toBe(2);
  await container.remove({ force: true });
});

test('following goes on over restarts, an attachment ends with the process it was made for', async () => {
  const container = await bed.runtime.create(bed.busybox, {
    ...quiet,
    restart: 'on-failure:2',
    command: ['sh', '-c', 'echo out; exit 3'],
  });
  const attachment = await container.attach();
  const chunks: Buffer[] = [];
  attachment.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise((resolve) => attachment.stdout.once('close', resolve));
  const followed = (async () => {
    const runs: number[] = [];
    for await (const { run } of container.logs({ follow: true })) {
      runs.push(run);
    }
    return runs;
  })();
  await container.start();
  await closed;
  expect(Buffer.concat(chunks).toString()).toBe('out\n');
  expect(await followed).toEqual([1, 2, 3]);
  await attachment.detach();
  await container.close();
});

test('wait: each end is told, also one after which it is started again; removed means gone', async () => {
  await withContainer(
    { ...quiet, restart: 'always', command: ['sh', '-c', 'sleep 0.1; exit 5'] },
    async (container) => {
      expect(await container.wait()).toMatchObject({ exitCode: 5 });
      expect(await container.wait({ condition: 'next-exit' })).toMatchObject({ exitCode: 5 });
      await until('it waits', async () => (await container.inspect()).status === 'restarting');
      expect(await container.inspect()).toMatchObject({ exitCode: 5, finishedAt: expect.any(Date) });
      await expect(container.remove()).rejects.toMatchObject({ code: 'ERR_CONTAINER_RUNNING' });
      await expect(container.exec(['true'])).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_RUNNING' });
      // Who begins to wait while it is about to be started again waits for the next end, or for its stop.
      const [ended, removed] = [container.wait(), container.wait({ condition: 'removed' })];
      await container.stop({ timeoutMs: 0 });
      expect((await ended).exitCode).toBeGreaterThanOrEqual(5);
      expect((await container.inspect()).status).toBe('exited');
      await container.remove();
      expect((await removed).exitCode).toBeGreaterThanOrEqual(5);
      expect(existsSync(join(bed.root, 'containers', container.id))).toBe(false);
    },
  );
});

test('a killed supervisor leaves nobody to restart it, and no exit code is made up', async () => {
  await withContainer({ ...quiet, detached: true, restart: 'always', command: ['true'] }, async (container) => {
    await until('it waits', async () => {
      const { status, restartCount } = await container.inspect();
      return status === 'restarting' && restartCount >= 3; // long enough for what follows
    });
    const state = JSON.parse(readFileSync(join(bed.root, 'containers', container.id, 'state.json'), 'utf8')) as {
      supervisorPid: number;
    };
    process.kill(state.supervisorPid, 'SIGKILL');
    expect(await container.wait()).toMatchObject({ exitCode: null, error: expect.stringContaining('supervisor') });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await container.inspect()).toMatchObject({ status: 'exited', exitCode: null });
    await container.start();
    expect((await container.inspect()).status).not.toBe('exited');
  });
});

test('waitFor goes on over restarts, and fails when the policy gives up', async () => {
  const script =
    'n=$(cat /n || echo 0); echo $((n + 1)) >/n; echo "attempt $n"; [ $n -ge 2 ] || exit 1; echo ready; sleep 100';
  const options = { ...quiet, restart: 'on-failure' as const, command: ['sh', '-c', script] };
  await withContainer({ ...options, waitFor: { log: 'ready' } }, async (container) => {
    expect((await container.inspect()).restartCount).toBe(2);
  });
  const failing = bed.runtime.run(bed.busybox, { ...options, restart: 'on-failure:1', waitFor: { log: 'ready' } });
  await expect(failing).rejects.toMatchObject({ code: 'ERR_CONTAINER_EXITED', exitCode: 1 });
});
