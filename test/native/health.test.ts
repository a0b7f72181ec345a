import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { removeFolder, temporaryFolder } from '../support/temporary-folder';
import { busyboxRoot, NativeContainer } from './harness';
import { until } from '../support/until';

let shared: string;
let lower: string;

beforeAll(() => {
  shared = temporaryFolder('native-root');
  lower = busyboxRoot(shared);
});
afterAll(() => removeFolder(shared));

// PID 1 is one that reaps nobody.
const idle = ['sleep', '1000'];

async function withHealth(
  test: string[],
  options: Record<string, unknown>,
  use: (container: NativeContainer) => Promise<void>,
  more: Partial<Parameters<typeof NativeContainer.open>[1]> = {},
): Promise<void> {
  const health = { args: test, intervalMs: 50, ...options };
  const container = await NativeContainer.start(lower, { args: idle, health, ...more });
  try {
    await use(container);
  } finally {
    await container.remove();
  }
}

interface Health {
  status: string;
  failingStreak: number;
  log: { start: string; end: string; exitCode: number; output: string }[];
}

const healthOf = ({ folder }: NativeContainer): Health =>
  JSON.parse(readFileSync(join(folder, 'health.json'), 'utf8')) as Health;

const statuses = ({ events }: NativeContainer): unknown[] => [
  ...new Set(events.filter(({ event }) => event === 'state').map((event) => event['health'])),
];

async function pidOf(container: NativeContainer): Promise<number> {
  const reply = (await container.request('state')) as unknown as { state: { pid: number } };
  return reply.state.pid;
}

/** The processes below this one, as `name state`. */
function childrenOf(parent: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, ppid] = text.slice(text.lastIndexOf(')') + 2).split(' ');
        return Number(ppid) === parent ? [`${text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'))} ${state}`] : [];
      } catch {
        return [];
      }
    });
}

function probeCgroups({ cgroupsPath }: NativeContainer): string[] {
  return ['/sys/fs/cgroup/unified', '/sys/fs/cgroup']
    .map((root) => root + cgroupsPath)
    .filter((path) => existsSync(path))
    .flatMap((path) => readdirSync(path).filter((name) => name.startsWith('health-')));
}

test('a probe that succeeds makes it healthy; it runs as the container does, and its last five are kept', async () => {
  await withHealth(['sh', '-c', 'echo "$ONLY $(id -u)"; echo err >&2'], {}, async (container) => {
    await until('six probes', () => (healthOf(container).log.at(-1)?.start ?? '') > (healthOf(container).log[0]?.end ?? ''));
    await until('five are kept', () => healthOf(container).log.length === 5);
    const { status, failingStreak, log } = healthOf(container);
    expect({ status, failingStreak }).toEqual({ status: 'healthy', failingStreak: 0 });
    expect(log[0]).toMatchObject({ exitCode: 0, output: 'set 0\nerr\n' });
    expect(statuses(container)).toEqual(['starting', 'healthy']);
    expect(await container.request('state')).toMatchObject({ state: { health: 'healthy' } });
  }, { env: ['ONLY=set'] }); // prettier-ignore
});

test('so many failures in a row make it unhealthy, one success healthy again', async () => {
  await withHealth(['sh', '-c', '[ -e /ok ]'], { retries: 3 }, async (container) => {
    await until('it is unhealthy', () => statuses(container).includes('unhealthy'));
    expect(healthOf(container)).toMatchObject({ status: 'unhealthy', log: [{ exitCode: 1 }, {}, {}] });
    expect(healthOf(container).failingStreak).toBeGreaterThanOrEqual(3);
    const pid = await pidOf(container);
    writeFileSync(`/proc/${pid}/root/ok`, '');
    await until('it is healthy', () => healthOf(container).status === 'healthy');
    expect(healthOf(container).failingStreak).toBe(0);
  });
});

test('failures within the start period do not count', async () => {
  const options = { startPeriodMs: 700, startIntervalMs: 30, retries: 1 };
  await withHealth(['false'], options, async (container) => {
    await until('it was probed', () => healthOf(container).log.length >= 3);
    expect(healthOf(container)).toMatchObject({ status: 'starting', failingStreak: 0 });
    await until('the period is over', () => healthOf(container).status === 'unhealthy');
  });
});

test('one that takes too long is killed with all that it started, and leaves no zombie', async () => {
  const script = 'sleep 1001 & (sleep 1002 & sleep 1003) & echo begun; sleep 1004';
  await withHealth(['sh', '-c', script], { timeoutMs: 100, retries: 2 }, async (container) => {
    await until('it is unhealthy', () => healthOf(container).status === 'unhealthy');
    const [first] = healthOf(container).log;
    expect(first).toMatchObject({ exitCode: -1, output: 'Health check exceeded timeout (100 ms): begun\n' });
    await container.request('pause'); // no more probes
    await container.request('unpause');
    const pid = await pidOf(container);
    await until('no zombie is there', () => childrenOf(pid).length === 0);
  });
});

test('what a probe leaves running ends with it', async () => {
  await withHealth(['sh', '-c', 'sleep 1005 & sleep 1006 & exit 0'], { intervalMs: 20 }, async (container) => {
    await until('it was probed often', () => healthOf(container).log.length === 5);
    const pid = await pidOf(container);
    expect(childrenOf(pid)).toEqual([]);
    // At most the present one's.
    expect(probeCgroups(container).length).toBeLessThanOrEqual(1);
  });
});

test('much output holds nobody up, and 4096 bytes of it are kept', async () => {
  await withHealth(['sh', '-c', 'yes | head -c 3000000'], { timeoutMs: 5000 }, async (container) => {
    await until('it is healthy', () => healthOf(container).status === 'healthy');
    expect(healthOf(container).log[0]?.output).toBe('y\n'.repeat(2048));
  });
});

test.each([
  [['/no/such/program'], -1, 'execve'],
  [['sh', '-c', 'kill -9 $$'], 137, ''],
  [['sh', '-c', 'exit 7'], 7, ''],
  // The guard in front of it: whoever kills that in the container makes the probe fail, and no more.
  [['sh', '-c', 'kill -9 $PPID; sleep 1'], -1, ''],
])('%j gives %i', async (args, exitCode, output) => {
  await withHealth(args, { retries: 1 }, async (container) => {
    await until('it is unhealthy', () => healthOf(container).status === 'unhealthy');
    expect(healthOf(container).log[0]).toMatchObject({ exitCode, output: expect.stringContaining(output) });
    expect(await container.request('state')).toMatchObject({ state: { status: 'running' } });
  });
});

test('no probe runs in a paused container', async () => {
  await withHealth(['sh', '-c', 'sleep 0.05'], { timeoutMs: 150 }, async (container) => {
    await until('it is healthy', () => healthOf(container).status === 'healthy');
    await container.request('pause');
    await new Promise((resolve) => setTimeout(resolve, 400));
    const paused = healthOf(container).log.at(-1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(healthOf(container).log.at(-1)).toEqual(paused);
    await container.request('unpause');
    await until('it goes on', () => healthOf(container).log.at(-1)?.start !== paused?.start);
    // The one that was stopped in the middle did not run out of time.
    expect(healthOf(container)).toMatchObject({ status: 'healthy', failingStreak: 0 });
  });
});

test('a probe keeps nobody from ending, and a restart begins anew', async () => {
  const options = {
    args: ['sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.05; done'],
    restart: { policy: 'always' },
  };
  await withHealth(['sleep', '1007'], { timeoutMs: 60_000 }, async (container) => {
    const pid = await pidOf(container);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const startedMs = Date.now();
    process.kill(pid, 'SIGTERM');
    expect(await container.reached('restarting')).toMatchObject({ exitCode: 3, health: 'unhealthy' });
    expect(Date.now() - startedMs).toBeLessThan(1000);
    container.events.length = 0;
    expect(await container.reached('running')).toMatchObject({ health: 'starting' });
    await container.request('stop');
    expect(healthOf(container).status).toBe('unhealthy');
  }, options); // prettier-ignore
});

test('a container that has the whole of its pids and cpu taken does not hold its supervisor up', async () => {
  const resources = { pids: { limit: 4 }, cpu: { quota: 1000, period: 100_000 } };
  const args = ['sh', '-c', 'sleep 1008 & sleep 1009 & while :; do :; done'];
  await withHealth(['true'], { timeoutMs: 5000, retries: 1, intervalMs: 10 }, async (container) => {
    await until('it was probed', () => healthOf(container).log.length >= 1, 10_000);
    for (let i = 0; i < 20; i++) {
      const startedMs = performance.now();
      await container.request('state');
      expect(performance.now() - startedMs).toBeLessThan(250);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }, { args, resources }); // prettier-ignore
});
