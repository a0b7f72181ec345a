import { StringDecoder } from 'node:string_decoder';

import { abortError, throwIfAborted } from '../util/abort';
import { checkBoolean, checkChoice, checkInteger, checkOptions, checkSignal, checkTime } from '../util/checks';
import type { ContainerControl } from './container-control';
import type { LogEntry } from './log-entry';
import { LogReader } from './log-file';
import type { LogRecord } from './log-parser';
import { observe } from './state';
import type { SupervisorLink } from './supervisor-link';

export interface LogSettings {
  follow: boolean;
  tail?: number;
  sinceMs?: number;
  untilMs?: number;
  streams: Set<'stdout' | 'stderr'>;
  encoding: 'utf8' | 'buffer';
  signal?: AbortSignal;
}

export function settleLogs(options: unknown): LogSettings {
  const known = ['follow', 'tail', 'since', 'until', 'stdout', 'stderr', 'encoding', 'signal'];
  const { follow, tail, since, until, stdout, stderr, encoding, signal } = checkOptions('logs', options, known);
  const out = stdout === undefined ? undefined : checkBoolean('stdout', stdout);
  const err = stderr === undefined ? undefined : checkBoolean('stderr', stderr);
  // Naming one stream asks for that one alone; naming none asks for both.
  const streams = new Set<'stdout' | 'stderr'>();
  if (out ?? err !== true) {
    streams.add('stdout');
  }
  if (err ?? out !== true) {
    streams.add('stderr');
  }
  return {
    follow: follow === undefined ? false : checkBoolean('follow', follow),
    ...(tail === undefined ? {} : { tail: checkInteger('tail', tail, 0, Number.MAX_SAFE_INTEGER) }),
    ...(since === undefined ? {} : { sinceMs: checkTime('since', since) }),
    ...(until === undefined ? {} : { untilMs: checkTime('until', until) }),
    streams,
    encoding: encoding === undefined ? 'utf8' : checkChoice('encoding', encoding, ['utf8', 'buffer']),
    ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
  };
}

/** The log's entries. With `follow` it goes on until the container has ended. */
export async function* readLogs(
  control: ContainerControl,
  settings: LogSettings,
): AsyncGenerator<LogEntry<string | Buffer>> {
  const toEntry = entryMaker(settings.encoding);
  const { streams, sinceMs = -Infinity, untilMs = Infinity } = settings;
  let tail = settings.tail;
  for await (const record of recordsOf(
    control,
    settings,
    () => tail,
    () => (tail = undefined),
  )) {
    const time = new Date(record.time);
    if (time.getTime() > untilMs) {
      return;
    }
    if (streams.has(record.stream) && time.getTime() >= sinceMs) {
      yield toEntry(record, time);
    }
  }
}

/** The last `tail` records that are there now, or all, and then those that come. */
async function* recordsOf(
  control: ContainerControl,
  settings: LogSettings,
  tail: () => number | undefined,
  tailDone: () => void,
): AsyncGenerator<LogRecord> {
  const { signal, follow, streams } = settings;
  throwIfAborted(signal);
  const link = follow ? await control.connect() : undefined;
  const reader = new LogReader(control.places.log);
  try {
    await link?.subscribe({ log: true });
    const count = tail();
    if (count !== undefined) {
      const last: LogRecord[] = [];
      for await (const records of reader.read()) {
        last.push(...records.filter((record) => streams.has(record.stream)));
        last.splice(0, last.length - count);
      }
      tailDone();
      yield* last;
    }
    for await (const records of followLog(reader, link, signal)) {
      yield* records;
    }
  } finally {
    link?.close();
    await reader.close();
  }
}

/** What is in the log, and what comes while the container runs. @throws ABORT_ERR */
export async function* followLog(
  reader: LogReader,
  link: SupervisorLink | undefined,
  signal: AbortSignal | undefined,
  isOver: (link: SupervisorLink) => boolean = ({ state }) => state?.status === 'stopped',
): AsyncGenerator<LogRecord[]> {
  for (;;) {
    // Looked at before the log is read: what is written between the two is announced, and read in the next round.
    const version = link?.version ?? 0;
    const over = !link || link.isClosed || isOver(link);
    for await (const records of reader.read()) {
      if (signal?.aborted) {
        throw abortError(signal);
      }
      yield records;
    }
    if (over) {
      return;
    }
    await link.changed(version, signal);
    throwIfAborted(signal);
  }
}

function entryMaker(encoding: 'utf8' | 'buffer'): (record: LogRecord, time: Date) => LogEntry<string | Buffer> {
  if (encoding === 'buffer') {
    return ({ stream, partial, content, run }, time) => ({ stream, time, line: content, partial, run });
  }
  // A piece of a long line may end within a character: its bytes belong to the next piece.
  const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  let current = 0;
  return ({ stream, partial, content, run }, time) => {
    if (run !== current) {
      // What the last run left unfinished does not go on.
      current = run;
      decoders.stdout.end();
      decoders.stderr.end();
    }
    const decoder = decoders[stream];
    const line = partial ? decoder.write(content) : decoder.end(content);
    return { stream, time, line, partial, run };
  };
}

const tailBytes = 4096;

/** The last lines of the log, for an error. */
export async function readLogTail(control: ContainerControl, lines = 20): Promise<string> {
  const reader = new LogReader(control.places.log);
  let text = '';
  try {
    for await (const records of reader.read()) {
      for (const { content, partial } of records) {
        text += content.toString('utf8') + (partial ? '' : '\n');
      }
      text = text.slice(-4 * tailBytes);
    }
  } catch {
    return text; // removed meanwhile: this is for a message
  } finally {
    await reader.close();
  }
  return text
    .split('\n')
    .slice(-lines - 1)
    .join('\n')
    .slice(-tailBytes);
}

export function isRunning(control: ContainerControl): boolean {
  const { alive, state } = observe(control.places);
  return alive && (state?.status === 'running' || state?.status === 'paused');
}
