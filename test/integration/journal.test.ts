// The journal with many writers, processes of their own: rotating takes a lock, and so the addon.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';

import { readEvents, settleEvents } from '../../lib/run/events';
import { type JournalEvent, journalPlaces, noteEvent } from '../../lib/run/journal';
import { markJournal } from '../../lib/run/journal-reader';
import { ChildProgram } from '../support/child-program';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

let state: string;
beforeEach(() => {
  state = temporaryFolder('journal');
});
afterEach(() => removeFolder(state));

const never = new AbortController().signal;

test('eight processes note five hundred events each, beside a reader, and every one arrives once and in order', async () => {
  const program = new ChildProgram(state, 'journal-child');
  mkdirSync(program.root);
  const mark = markJournal(program.root);
  const events = readEvents(program.root, mark, settleEvents({}), never);
  // 4000 events of 500 bytes: the journal is rotated meanwhile.
  const children = Array.from({ length: 8 }, (_, writer) => program.start([String(writer), '500', '350']));
  const next = new Map<string, number>();
  for (let count = 0; count < 4000; count++) {
    const { writer = '', number } = ((await events.next()).value as JournalEvent).attributes;
    expect(Number(number)).toBe(next.get(writer) ?? 0);
    next.set(writer, Number(number) + 1);
  }
  await events.return(undefined);
  expect([...next.values()]).toEqual(Array.from({ length: 8 }, () => 500));
  expect(await Promise.all(children.map(({ ended }) => ended))).toEqual(children.map(() => ({ code: 0, output: '' })));
  expect(existsSync(journalPlaces(program.root).older)).toBe(true);
}, 60_000);

test('killed writers leave whole lines, and others go on', async () => {
  const program = new ChildProgram(state, 'journal-child');
  mkdirSync(program.root);
  const { current } = journalPlaces(program.root);
  for (let round = 0; round < 5; round++) {
    const { child, ended } = program.start(['victim', '0']);
    while (!existsSync(current)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await new Promise((resolve) => setTimeout(resolve, 5 + 7 * round));
    child.kill('SIGKILL');
    await ended;
    noteEvent(program.root, { type: 'container', action: 'after', id: 'c1', attributes: {} });
    const lines = readFileSync(current, 'utf8').split('\n').filter(Boolean);
    const broken = lines.filter((line) => !line.endsWith('}}'));
    expect(broken.length).toBeLessThanOrEqual(1);
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ action: 'after' });
    rmSync(journalPlaces(program.root).folder, { recursive: true });
  }
}, 30_000);
