import { StringDecoder } from 'node:string_decoder';

import type { LogEntry } from './log-entry';
import type { LogRecord } from './log-parser';

const longestPiece = 16 * 1024;

type Stream = LogRecord['stream'];
type Encoding = 'utf8' | 'buffer';

interface OpenLine {
  first: LogRecord;
  contents: Buffer[];
  size: number;
  decoder: StringDecoder;
}

/**
 * Makes lines of records: a program that writes a line in ten steps has written one line. Over 16 KiB it comes in pieces; a
 * character that is cut between two of them belongs to the later.
 */
export class LineMaker {
  readonly #encoding: Encoding;
  readonly #open = new Map<Stream, OpenLine>();

  constructor(encoding: Encoding) {
    this.#encoding = encoding;
  }

  /** The entries that are complete with these records. */
  push(records: readonly LogRecord[]): LogEntry<string | Buffer>[] {
    const entries: LogEntry<string | Buffer>[] = [];
    for (const record of records) {
      const { stream, content, partial } = record;
      if (!record.continues) {
        entries.push(...this.#end(stream));
      }
      const line = this.#open.get(stream) ?? this.#begin(record);
      line.contents.push(content);
      line.size += content.length;
      if (!partial) {
        entries.push(this.#entry(line, false, true));
        this.#open.delete(stream);
      } else if (line.size >= longestPiece) {
        entries.push(...this.#cut(line));
      }
    }
    return entries;
  }

  /** Whether there is the beginning of a line that no entry has yet. */
  get hasUnfinished(): boolean {
    return [...this.#open.values()].some(({ size }) => size > 0);
  }

  /** What there is of unfinished lines; they may go on. */
  take(): LogEntry<string | Buffer>[] {
    return [...this.#open.values()].filter(({ size }) => size > 0).map((line) => this.#entry(line, true, false));
  }

  /** There will be no more. */
  end(): LogEntry<string | Buffer>[] {
    return [...this.#open.keys()].flatMap((stream) => this.#end(stream));
  }

  #begin(first: LogRecord): OpenLine {
    const line = { first, contents: [], size: 0, decoder: new StringDecoder('utf8') };
    this.#open.set(first.stream, line);
    return line;
  }

  #end(stream: Stream): LogEntry<string | Buffer>[] {
    const line = this.#open.get(stream);
    this.#open.delete(stream);
    return line && line.size > 0 ? [this.#entry(line, true, true)] : [];
  }

  #cut(line: OpenLine): LogEntry<string | Buffer>[] {
    const entries: LogEntry<string | Buffer>[] = [];
    // Not at exactly 16 KiB: that could be all of it.
    while (line.size > longestPiece) {
      const bytes = Buffer.concat(line.contents);
      line.contents = [bytes.subarray(0, longestPiece)];
      entries.push(this.#entry(line, true, false));
      line.contents = [bytes.subarray(longestPiece)];
      line.size = bytes.length - longestPiece;
    }
    return entries;
  }

  #entry(line: OpenLine, partial: boolean, isEnd: boolean): LogEntry<string | Buffer> {
    const bytes = line.contents.length === 1 ? line.contents[0]! : Buffer.concat(line.contents);
    const { stream, time, run, lost } = line.first;
    line.contents = [];
    line.size = 0;
    line.first = { ...line.first, lost: 0 };
    const text = (): string => (isEnd ? line.decoder.end(bytes) : line.decoder.write(bytes));
    return {
      stream,
      time: new Date(time),
      line: this.#encoding === 'buffer' ? bytes : text(),
      partial,
      timestamp: time,
      run,
      ...(lost > 0 ? { lost } : {}),
    };
  }
}
