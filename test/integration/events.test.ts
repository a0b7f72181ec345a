import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { RuntimeEvent } from '../../lib';
import { TestBed } from '../support/busybox';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const quiet = { network: 'none' } as const;

async function eventsSince(since: Date, filters: object = {}): Promise<RuntimeEvent[]> {
  const found: RuntimeEvent[] = [];
  for await (const event of bed.runtime.events({ since, until: new Date(), filters })) {
    found.push(event);
  }
  return found;
}

const actionsOf = (events: readonly RuntimeEvent[]): string[] => events.map(({ action }) => action);

test("a container's life, as Docker tells it", async () => {
  const since = new Date();
  const container = await bed.runtime.create(bed.busybox, {
    ...quiet,
    name: 'storied',
    detached: true,
    labels: { app: 'shop' },
    command: ['sh', '-c', 'trap "exit 7" TERM; sleep 1000 & wait'],
  });
  const attachment = await container.attach();
  await container.start();
  await container.exec(['sh', '-c', 'exit 3']);
  await container.pause();
  await container.unpause();
  await container.stop();
  await attachment.detach();
  await container.restart({ timeoutMs: 0 });
  await container.remove({ force: true });
  const events = await eventsSince(since, { container: container.id });
  expect(actionsOf(events)).toEqual([
    ...['create', 'attach', 'start', 'exec_create: sh -c exit 3', 'exec_start: sh -c exit 3', 'exec_die', 'pause'],
    ...['unpause', 'kill', 'die', 'stop', 'start', 'restart', 'kill', 'die', 'destroy'],
  ]);
  for (const { id, type, attributes, time, timestamp } of events) {
    expect({ id, type }).toEqual({ id: container.id, type: 'container' });
    expect(attributes).toMatchObject({ name: 'storied', image: bed.busybox, app: 'shop' });
    expect(new Date(timestamp)).toEqual(time);
  }
  const [create, start, die] = events.map(({ attributes }) => attributes);
  expect(start?.['execID']).toBe(create?.['execID']);
  expect(die).toBeDefined();
  const of = (action: string): RuntimeEvent['attributes'] | undefined =>
    events.find((event) => event.action.startsWith(action))?.attributes;
  expect(of('exec_die')).toMatchObject({ exitCode: '3', execID: of('exec_start')?.['execID'] });
  expect(of('exec_die')?.['execID']).toMatch(/^[0-9a-f]{64}$/);
  expect(of('kill')).toMatchObject({ signal: '15' });
  expect(of('die')).toMatchObject({ exitCode: '7' });
});

test('a reader hears of other runtimes as it happens, and of what it filters for alone', async () => {
  const controller = new AbortController();
  const events = bed.runtime.events({
    filters: { type: 'container', action: ['start', 'die', 'destroy'] },
    signal: controller.signal,
  });
  const other = bed.newRuntime();
  await other.exec(bed.busybox, ['sh', '-c', 'exit 5'], quiet);
  const found: RuntimeEvent[] = [];
  for await (const event of events) {
    found.push(event);
    if (event.action === 'destroy') {
      break;
    }
  }
  expect(actionsOf(found)).toEqual(['start', 'die', 'destroy']);
  expect(found[1]?.attributes).toMatchObject({ exitCode: '5' });
  // The same iterable once more: from the call on, again. And an abort is an error.
  const waiting = (async () => {
    for await (const event of events) {
      if (event.action === 'destroy') controller.abort();
    }
  })();
  await expect(waiting).rejects.toMatchObject({ code: 'ABORT_ERR' });
  await other.close();
});

test('images: pull, tag, untag, import, save, load, delete', async () => {
  const since = new Date();
  const image = await bed.runtime.pull(bed.busybox);
  await image.tag('local/other:2');
  await (await bed.runtime.image('local/other:2')).remove();
  const archive = join(bed.folder, 'saved.tar');
  await image.save(archive);
  await bed.runtime.load(archive);
  const imported = await bed.runtime.import(join(__dirname, '../support/vm'), { reference: 'local/imported:1' });
  await imported.remove({ force: true });
  const events = await eventsSince(since, { type: 'image' });
  expect(actionsOf(events)).toEqual(['pull', 'tag', 'untag', 'save', 'load', 'import', 'untag', 'delete']);
  expect(events[0]).toMatchObject({ id: bed.busybox, attributes: { name: bed.busybox.replace(/:1$/, '') } });
  expect(events[1]).toMatchObject({ id: image.id, attributes: { name: 'local/other:2' } });
  expect(events[7]).toMatchObject({ id: imported.id });
});

test('where a supervisor was killed, whoever finds it tells of the end, once and without a code', async () => {
  const since = new Date();
  const detached = await bed.runtime.run(bed.busybox, { ...quiet, detached: true, command: ['sleep', '1000'] });
  const owned = await bed.runtime.run(bed.busybox, { ...quiet, command: ['sleep', '1000'] });
  for (const { id } of [detached, owned]) {
    process.kill(supervisorOf(id), 'SIGKILL');
  }
  expect(await detached.wait()).toMatchObject({ exitCode: null });
  expect(await owned.wait()).toMatchObject({ exitCode: null });
  // Of an owned one its owner knows at once; of others whoever looks next.
  await detached.start();
  await detached.stop({ timeoutMs: 0 });
  await owned.close();
  const events = await eventsSince(since, { container: [detached.id, owned.id], action: ['die', 'destroy'] });
  const of = (id: string): unknown[] =>
    events
      .filter((event) => event.id === id)
      .map(({ action, attributes }) => [action, attributes['exitCode'] ?? attributes['error'] ?? '']);
  const unknown = ['die', expect.stringContaining('supervisor was killed')];
  expect(of(owned.id)).toEqual([unknown, ['destroy', '']]);
  expect(of(detached.id)).toEqual([unknown, ['die', '137']]);
  await detached.remove();
});

test('closing the runtime ends its iterators quietly', async () => {
  const runtime = bed.newRuntime();
  const iterator = runtime.events()[Symbol.asyncIterator]();
  const next = iterator.next();
  setTimeout(() => void runtime.close(), 50);
  expect(await next).toEqual({ done: true, value: undefined });
  await expect(runtime.events()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
});

function supervisorOf(id: string): number {
  const state = join(bed.root, 'containers', id, 'state.json');
  const { supervisorPid } = JSON.parse(readFileSync(state, 'utf8')) as { supervisorPid: number };
  return supervisorPid;
}
