import { existsSync } from 'node:fs';

import { onAbort, throwIfAborted } from '../util/abort';
import { checkBoolean, checkChoice, checkInteger, checkOptions, checkSignal, checkTime } from '../util/checks';
import type { ContainerControl } from './container-control';
import type { LogEntry } from './log-entry';
import { LogReader } from './log-file';
import { LineMaker } from './log-lines';
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

/** The log's entries. With `follow` it goes on until the container has ended, or `until` has come. */
export async function* readLogs(
  control: ContainerControl,
  settings: LogSettings,
): AsyncGenerator<LogEntry<string | Buffer>> {
  const { signal, follow, streams, tail, sinceMs = -Infinity, untilMs = Infinity } = settings;
  throwIfAborted(signal);
  if (!existsSync(control.places.record)) {
    throw control.notFound();
  }
  const lines = new LineMaker(settings.encoding);
  // The clock may have been set back meanwhile: what comes after a line that is too late may not be.
  const isWanted = ({ time }: LogEntry<string | Buffer>): boolean =>
    time.getTime() >= sinceMs && time.getTime() <= untilMs;
  const link = follow ? await control.connect() : undefined;
  const reader = new LogReader(control.places.log);
  const stop = new AbortController();
  const release = onAbort(signal, () => stop.abort());
  const timer = follow ? setLongTimeout(untilMs - Date.now(), () => stop.abort()) : undefined;
  try {
    await link?.subscribe({ log: true });
    if (tail !== undefined) {
      await reader.skipToTail(tail, streams);
    }
    const batches = follow
      ? followLog(reader, link, { stopped: stop.signal, idleMs: () => (lines.hasUnfinished ? idleMs : undefined) })
      : reader.read({ once: true });
    for await (const records of batches) {
      throwIfAborted(signal);
      const entries = records ? lines.push(records.filter(({ stream }) => streams.has(stream))) : lines.take();
      yield* entries.filter(isWanted);
    }
    throwIfAborted(signal);
    yield* lines.end().filter(isWanted);
  } finally {
    clearTimeout(timer?.timer);
    release();
    link?.close();
    await reader.close();
  }
}

/** A line whose end does not come, such as a prompt, is shown after this long. */
const idleMs = 100;

const longestTimeoutMs = 2 ** 31 - 1;

// A longer time-out would fire at once; nobody follows a log for 24 days without a restart of something.
function setLongTimeout(ms: number, listener: () => void): { timer: NodeJS.Timeout } | undefined {
  return ms > longestTimeoutMs ? undefined : { timer: setTimeout(listener, Math.max(0, ms)) };
}

export interface FollowOptions {
  /** Ends it, after what was there by then. */
  stopped?: AbortSignal;
  isOver?: (link: SupervisorLink) => boolean;
  /** When nothing has come for so long, it yields undefined, once. */
  idleMs?: () => number | undefined;
}

/** What is in the log, and what comes while the container runs. */
export async function* followLog(
  reader: LogReader,
  link: SupervisorLink | undefined,
  { stopped, isOver = ({ state }) => state?.status === 'stopped', idleMs = () => undefined }: FollowOptions,
): AsyncGenerator<LogRecord[] | undefined> {
  for (;;) {
    // Looked at before the log is read: what is written between the two is announced, and read in the next round.
    const version = link?.version ?? 0;
    const over = !link || link.isClosed || stopped?.aborted || isOver(link);
    yield* reader.read();
    if (over) {
      return;
    }
    const idle = idleMs();
    await link.changed(version, stopped, idle);
    if (idle !== undefined && link.version === version && !stopped?.aborted) {
      yield undefined;
    }
  }
}

const tailBytes = 4096;

/** The last lines of the log, for an error. */
export async function readLogTail(control: ContainerControl, lines = 20): Promise<string> {
  const reader = new LogReader(control.places.log);
  let text = '';
  try {
    await reader.skipToTail(lines, new Set(['stdout', 'stderr']));
    for await (const records of reader.read({ once: true })) {
      for (const { content, partial } of records) {
        text += content.toString('utf8') + (partial ? '' : '\n');
      }
      text = text.slice(-tailBytes);
    }
  } catch {
    return text; // removed meanwhile: this is for a message
  } finally {
    await reader.close();
  }
  return text;
}

export function isRunning(control: ContainerControl): boolean {
  const { alive, state } = observe(control.places);
  return alive && (state?.status === 'running' || state?.status === 'paused');
}
