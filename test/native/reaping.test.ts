import { readdirSync, readFileSync } from 'node:fs';

import { removeFolder, temporaryFolder } from '../support/temporary-folder';
import { until } from '../support/until';
import { busyboxRoot, NativeContainer } from './harness';

let shared: string;
let lower: string;

beforeAll(() => {
  shared = temporaryFolder('native-root');
  lower = busyboxRoot(shared);
});
afterAll(() => removeFolder(shared));

function zombiesOf(parent: number): number {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, ppid] = text.slice(text.lastIndexOf(')') + 2).split(' ');
        return state === 'Z' && Number(ppid) === parent;
      } catch {
        return false;
      }
    }).length;
}

test('init reaps 10,000 orphans', async () => {
  // Each is orphaned at once: the subshell that made it does not wait. A shell as PID 1 would reap; the program is not PID 1 here.
  const script = 'i=0; while [ $i -lt 10000 ]; do (true &) ; i=$((i + 1)); done; echo done; exec sleep 1000';
  const container = await NativeContainer.start(lower, { args: ['sh', '-c', script], init: true });
  try {
    const reply = (await container.request('state')) as unknown as { state: { pid: number } };
    expect(readFileSync(`/proc/${reply.state.pid}/cmdline`, 'utf8')).not.toContain('sleep');
    await until('all were made', () => container.output().toString() === 'done\n', 60_000);
    await until('none is left', () => zombiesOf(reply.state.pid) === 0);
    const pids = readFileSync(`/proc/${reply.state.pid}/task/${reply.state.pid}/children`, 'utf8').trim().split(' ');
    expect(pids).toHaveLength(1);
  } finally {
    await container.remove();
  }
}, 90_000);

test('an OOM kill that PID 1 survives is told, and is not its end', async () => {
  const resources = { memory: { limit: 16 << 20, swap: 16 << 20 } };
  const args = ['sh', '-c', '(hog=$(yes | head -c 200000000)); echo survived; exec sleep 1000'];
  const container = await NativeContainer.start(lower, { args, resources });
  await until('a kill was told', () =>
    container.events.some(({ event, oomKills }) => event === 'state' && Number(oomKills) > 0),
  );
  await until('it lives on', () => container.output().toString() === 'survived\n');
  const state = await container.request('state');
  expect(state).toMatchObject({ state: { status: 'running', oomKilled: false } });
  await container.request('stop', { timeoutMs: 0 });
  expect(await container.reached('stopped')).toMatchObject({ oomKilled: false, oomKills: expect.any(Number) });
  await container.remove();
});
