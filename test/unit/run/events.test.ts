import { appendFileSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { readEvents, settleEvents } from '../../../lib/run/events';
import { type JournalEvent, journalPlaces, noteEvent } from '../../../lib/run/journal';
import { JournalReader, markJournal } from '../../../lib/run/journal-reader';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

let state: string;
beforeEach(() => {
  state = temporaryFolder('events');
});
afterEach(() => removeFolder(state));

const never = new AbortController().signal;
const note = (action: string, more: Partial<JournalEvent> = {}): void =>
  noteEvent(state, { type: 'container', action, id: 'c1', attributes: {}, ...more });
const read = (options: object = {}, mark = markJournal(state)): AsyncGenerator<JournalEvent> =>
  readEvents(state, mark, settleEvents(options), never);

async function actions(events: AsyncIterable<JournalEvent>): Promise<string[]> {
  const found: string[] = [];
  for await (const { action } of events) {
    found.push(action);
  }
  return found;
}

test('what happens after the call is read, however late somebody begins to', async () => {
  note('before');
  const events = read();
  note('start');
  expect((await events.next()).value).toEqual({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}000000Z$/),
    type: 'container',
    action: 'start',
    id: 'c1',
    attributes: {},
  });
  const next = events.next();
  setTimeout(() => note('die'), 20);
  const startedMs = performance.now();
  expect((await next).value).toMatchObject({ action: 'die' });
  // By inotify, not at the next poll.
  expect(performance.now() - startedMs).toBeLessThan(500);
  await events.return(undefined);
});

test('since and until read back what is kept; until alone does, from the beginning', async () => {
  note('one');
  await new Promise((resolve) => setTimeout(resolve, 5));
  const between = new Date();
  await new Promise((resolve) => setTimeout(resolve, 5));
  note('two');
  expect(await actions(read({ since: 0, until: Date.now() }))).toEqual(['one', 'two']);
  expect(await actions(read({ until: between }))).toEqual(['one']);
  expect(await actions(read({ since: between, until: Date.now() }))).toEqual(['two']);
  const untilSoon = actions(read({ since: between, until: Date.now() + 100 }));
  setTimeout(() => note('three'), 20);
  expect(await untilSoon).toEqual(['two', 'three']);
  note('four');
  expect(await actions(read({ since: between, until: Date.now() }))).toEqual(['two', 'three', 'four']);
});

test('filters: names are ANDed, values ORed, and a command behind an action does not hide it', async () => {
  const attributes = { name: 'web', image: 'nginx:1.18', app: 'shop' };
  note('create', { attributes });
  note('exec_start: ls -l', { attributes });
  note('die', { id: 'c2', attributes: { name: 'db', image: 'postgres' } });
  note('pull', { type: 'image', id: 'nginx:1.18', attributes: { name: 'nginx' } });
  const until = Date.now();
  const filtered = (filters: object): Promise<string[]> => actions(read({ until, filters }));
  expect(await filtered({})).toEqual(['create', 'exec_start: ls -l', 'die', 'pull']);
  expect(await filtered({ type: 'image' })).toEqual(['pull']);
  expect(await filtered({ action: ['exec_start', 'die'] })).toEqual(['exec_start: ls -l', 'die']);
  expect(await filtered({ action: 'exec' })).toEqual([]);
  expect(await filtered({ container: 'we' })).toEqual(['create', 'exec_start: ls -l']);
  expect(await filtered({ container: ['c2'] })).toEqual(['die']);
  expect(await filtered({ container: 'web', action: 'create' })).toEqual(['create']);
  expect(await filtered({ image: 'nginx' })).toEqual(['create', 'exec_start: ls -l', 'pull']);
  expect(await filtered({ image: 'nginx:1.18' })).toEqual(['create', 'exec_start: ls -l', 'pull']);
  expect(await filtered({ label: 'app' })).toEqual(['create', 'exec_start: ls -l']);
  expect(await filtered({ label: 'app=other' })).toEqual([]);
});

test.each([
  [{ sinse: 0 }, 'did you mean since'],
  [{ since: 'yesterday' }, 'option since: must be a Date or milliseconds'],
  [{ until: Number.NaN }, 'option until'],
  [{ filters: { event: 'die' } }, 'option event of filters is unknown'],
  [{ filters: { type: 'pod' } }, 'option filters.type: must be one of container'],
  [{ filters: { action: 5 } }, 'option filters.action'],
  [{ signal: true }, 'option signal'],
])('%j is refused', (options, message) => {
  expect(() => settleEvents(options)).toThrow(message);
});

test('an aborted signal makes the iterator throw, before and while it waits', async () => {
  const controller = new AbortController();
  const events = read({ signal: controller.signal });
  const next = events.next();
  setTimeout(() => controller.abort(new Error('enough')), 10);
  await expect(next).rejects.toMatchObject({ code: 'ABORT_ERR', name: 'AbortError', cause: { message: 'enough' } });
  await expect(read({ signal: controller.signal }).next()).rejects.toMatchObject({ code: 'ABORT_ERR' });
});

test('it ends quietly with its Runtime', async () => {
  const closing = new AbortController();
  const events = readEvents(state, new Map(), settleEvents({}), closing.signal);
  setTimeout(() => closing.abort(), 10);
  expect(await events.next()).toEqual({ done: true, value: undefined });
});

test('a torn line, one that is no event and one of nonsense are passed over, and nothing else', async () => {
  note('first');
  const { current } = journalPlaces(state);
  appendFileSync(current, '\n{"time":"2026-01-01T00:00:00Z","type":"contai');
  note('second');
  appendFileSync(current, '\nnull\n[]\n{"type":"pod"}\n\0\xff\n');
  note('third');
  appendFileSync(current, `\n${'x'.repeat(3 << 20)}`);
  note('fourth');
  expect(await actions(read({ until: Date.now() }))).toEqual(['first', 'second', 'third', 'fourth']);
});

test('a journal that is rotated while it is read is read to its end, with what a slow writer adds to it', async () => {
  const { current, older } = journalPlaces(state);
  note('one');
  const reader = new JournalReader(state);
  const rest = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const events of reader.read()) {
      found.push(...events.map(({ action }) => action));
    }
    return found;
  };
  expect(await rest()).toEqual(['one']);
  note('two');
  renameSync(current, older);
  note('three');
  expect(await rest()).toEqual(['two', 'three']);
  appendFileSync(older, `\n${JSON.stringify({ ...eventOf('slow') })}\n`);
  expect(await rest()).toEqual(['slow']);
  renameSync(current, older);
  note('four');
  expect(await rest()).toEqual(['four']);
  await reader.close();
});

test('what cannot be noted costs nobody anything: no folder, a link in the way', () => {
  const { folder, current } = journalPlaces(state);
  mkdirSync(folder);
  symlinkSync(join(state, 'victim'), current);
  note('start');
  expect(existsSync(join(state, 'victim'))).toBe(false);
  rmSync(state, { recursive: true });
  note('start');
  expect(existsSync(state)).toBe(false);
});

function eventOf(action: string): JournalEvent {
  return { time: new Date().toISOString(), type: 'container', action, id: 'c1', attributes: {} };
}
