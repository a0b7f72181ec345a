import { mkdirSync } from 'node:fs';

import { throwIfAborted } from '../util/abort';
import { checkOptions, checkSignal, checkText, checkTime, invalidOption } from '../util/checks';
import { FolderWatch } from './folder-watch';
import { type JournalEvent, journalPlaces } from './journal';
import { type JournalMark, JournalReader } from './journal-reader';

export interface EventSettings {
  sinceMs?: number;
  untilMs?: number;
  matches: (event: JournalEvent) => boolean;
  signal?: AbortSignal;
}

/** @throws ERR_INVALID_OPTION */
export function settleEvents(options: unknown): EventSettings {
  const { since, until, filters, signal } = checkOptions('events', options, ['since', 'until', 'filters', 'signal']);
  return {
    ...(since === undefined ? {} : { sinceMs: checkTime('since', since) }),
    ...(until === undefined ? {} : { untilMs: checkTime('until', until) }),
    matches: settleFilters(filters),
    ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
  };
}

/**
 * The events of every process: those that are kept, as far as `since` or `until` asks for them, else those after `mark`; and then
 * those that come, until `until`. Ends when `closed` fires.
 * @throws ABORT_ERR
 */
export async function* readEvents(
  state: string,
  mark: JournalMark,
  { sinceMs, untilMs = Infinity, matches, signal }: EventSettings,
  closed: AbortSignal,
): AsyncGenerator<JournalEvent> {
  throwIfAborted(signal);
  const { folder } = journalPlaces(state);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fromNow = sinceMs === undefined && untilMs === Infinity;
  const reader = new JournalReader(state, fromNow ? mark : new Map());
  const watch = new FolderWatch(folder);
  try {
    for (;;) {
      // Both looked at before the journal is read: what comes meanwhile is read in the next round.
      const { version } = watch;
      const over = closed.aborted || Date.now() > untilMs;
      for await (const events of reader.read()) {
        for (const event of events) {
          throwIfAborted(signal);
          const timeMs = Date.parse(event.time);
          if (timeMs >= (sinceMs ?? -Infinity) && timeMs <= untilMs && matches(event)) {
            yield event;
          }
        }
      }
      if (over) {
        return;
      }
      await watch.changed(version, untilMs + 1, [signal, closed]);
      throwIfAborted(signal);
    }
  } finally {
    watch.close();
    await reader.close();
  }
}

type Test = (event: JournalEvent, wanted: string) => boolean;

const ofType =
  (type: JournalEvent['type']): Test =>
  ({ type: found, id, attributes }, wanted) =>
    found === type && (id.startsWith(wanted) || (attributes['name'] ?? '').startsWith(wanted));

const filterTests: Readonly<Record<string, Test>> = {
  type: ({ type }, wanted) => type === wanted,
  // `exec_start` is any `exec_start: COMMAND`, as in Docker.
  action: ({ action }, wanted) => action === wanted || action.startsWith(`${wanted}: `),
  container: ofType('container'),
  network: ofType('network'),
  volume: ofType('volume'),
  image: ({ type, id, attributes }, wanted) => {
    const name = type === 'image' ? attributes['name'] : type === 'container' ? attributes['image'] : undefined;
    const names = name === undefined ? [] : [name, ...(type === 'image' ? [id] : [])];
    return names.some((each) => each === wanted || withoutTag(each) === wanted);
  },
  label: ({ attributes }, wanted) => {
    const equals = wanted.indexOf('=');
    const key = equals < 0 ? wanted : wanted.slice(0, equals);
    return Object.hasOwn(attributes, key) && (equals < 0 || attributes[key] === wanted.slice(equals + 1));
  },
};

/** Names are ANDed, the values of one name ORed. */
function settleFilters(value: unknown): (event: JournalEvent) => boolean {
  const given = checkOptions('filters', value, Object.keys(filterTests));
  const filters = Object.entries(given).flatMap(([name, each]) => {
    if (each === undefined) {
      return [];
    }
    const values: unknown[] = Array.isArray(each) ? each : [each];
    const wanted = values.map((one) => checkText(`filters.${name}`, one));
    const unknown = name === 'type' ? wanted.find((one) => !types.includes(one)) : undefined;
    if (unknown !== undefined) {
      throw invalidOption('filters.type', unknown, `must be one of ${types.join(', ')}`);
    }
    return [{ test: filterTests[name]!, wanted }];
  });
  return (event) => filters.every(({ test, wanted }) => wanted.some((one) => test(event, one)));
}

const types: readonly string[] = ['container', 'image', 'network', 'volume'];

function withoutTag(reference: string): string {
  return reference.replace(/@.*$/, '').replace(/:[^/:]+$/, '');
}
