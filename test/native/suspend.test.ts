import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ControlConnection } from '../../lib/native/control';
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

const counting = ['sh', '-c', 'i=0; while true; do i=$((i+1)); echo $i > /count; sleep 0.01; done'];

async function withContainer(
  options: Parameters<typeof NativeContainer.open>[1],
  use: (container: NativeContainer) => Promise<void>,
): Promise<void> {
  const container = await NativeContainer.start(lower, options);
  try {
    await use(container);
  } finally {
    await container.remove();
  }
}

/** Another connection, that of somebody who wants the files. */
async function writer(container: NativeContainer): Promise<ControlConnection> {
  const control = await ControlConnection.connect(container.socket);
  expect(await control.request('join', { write: true })).toMatchObject({ ok: true });
  return control;
}

const count = ({ folder }: NativeContainer): string => {
  const path = join(folder, 'upper', 'count');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
};

async function counts(container: NativeContainer): Promise<void> {
  const before = count(container);
  await until('it goes on', () => !['', before].includes(count(container)));
}

/** Of a whole tenth of a second. */
async function standsStill(container: NativeContainer): Promise<void> {
  const before = count(container);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(count(container)).toBe(before);
}

test('it stands still for a writer until he is done, or gone, and is not paused to anybody', async () => {
  await withContainer({ args: counting }, async (container) => {
    await counts(container);
    const first = await writer(container);
    const second = await writer(container);
    for (const each of [first, second]) {
      expect(await each.request('suspend')).toMatchObject({ ok: true, running: true });
    }
    expect(await container.request('state')).toMatchObject({ state: { status: 'running' } });
    await standsStill(container);
    expect(await first.request('resume')).toMatchObject({ ok: true });
    await standsStill(container);
    second.close();
    await counts(container);
    first.close();
  });
});

test('whoever pauses it meanwhile finds it paused, and it goes on when both want it to', async () => {
  await withContainer({ args: counting }, async (container) => {
    await counts(container);
    const other = await writer(container);
    await other.request('suspend');
    expect(await container.request('pause')).toMatchObject({ ok: true });
    await other.request('resume');
    await standsStill(container);
    expect(await container.request('unpause')).toMatchObject({ ok: true });
    await counts(container);
    other.close();

    const another = await writer(container);
    await container.request('pause');
    await another.request('suspend');
    expect(await container.request('unpause')).toMatchObject({ ok: true });
    await standsStill(container);
    another.close();
    await counts(container);
  });
});

test('it can be ended meanwhile, and is not started again before the writer is done', async () => {
  await withContainer({ args: counting, restart: { policy: 'always' } }, async (container) => {
    await counts(container);
    const other = await writer(container);
    await other.request('suspend');
    expect(await container.request('signal', { signal: 9 })).toMatchObject({ ok: true });
    await container.reached('stopped');
    const start = container.request('start');
    await standsStill(container);
    expect(await container.request('state')).toMatchObject({ state: { runs: 1 } });
    other.close();
    expect(await start).toMatchObject({ ok: true });
    await counts(container);
  });
});

test('what does not run is held as well, and only writers can ask for it', async () => {
  await withContainer({ args: ['sleep', '100'] }, async (container) => {
    await container.request('stop', { timeoutMs: 0 });
    expect(await container.request('suspend')).toMatchObject({ ok: false, error: { errno: 22 } });
    const other = await writer(container);
    expect(await other.request('suspend')).toMatchObject({ ok: true, running: false });
    const start = container.request('start');
    expect(await other.request('resume')).toMatchObject({ ok: true });
    expect(await start).toMatchObject({ ok: true });
    expect(await other.request('suspend')).toMatchObject({ ok: false, error: { errno: 22 } });
    other.close();
  });
});
