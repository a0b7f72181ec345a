/** One record of the log: a line, or a piece of one. */
export interface LogRecord {
  stream: 'stdout' | 'stderr';
  /** ISO 8601 with nanoseconds, as written. */
  time: string;
  /** True: the line goes on in the next record of this stream. */
  partial: boolean;
  /** It goes on with the line of this stream's record before. */
  continues: boolean;
  /** Which run of the container wrote it, the first being 1. */
  run: number;
  /** Bytes of this stream that are missing before it: the disk took none. */
  lost: number;
  /** The log's so manieth rotation began with it. */
  file?: number;
  content: Buffer;
}

const newline = 10;
const space = 32;
const colon = 58;

/**
 * Cuts the bytes of a CRI log (`<time> <stream> <F|P>[:tag…] <content>\n`, the tags in addon/supervisor/log_writer.h) into records.
 * Content is kept as bytes: a character may be cut between two pieces of a line.
 */
export class LogParser {
  #rest: Buffer = Buffer.alloc(0);

  /** The records that are complete with `chunk`; they share its memory. */
  push(chunk: Buffer): LogRecord[] {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const records: LogRecord[] = [];
    let start = 0;
    for (let end = bytes.indexOf(newline, start); end >= 0; end = bytes.indexOf(newline, start)) {
      const record = parseRecord(bytes.subarray(start, end));
      if (record) {
        records.push(record);
      }
      start = end + 1;
    }
    this.#rest = bytes.subarray(start);
    return records;
  }
}

/** Undefined for what is no record: torn by a crash or a full disk. What follows is whole again. */
export function parseRecord(line: Buffer): LogRecord | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  const third = line.indexOf(space, second + 1);
  if (first < 0 || second < 0 || third < 0) {
    return undefined;
  }
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') {
    return undefined;
  }
  const record: LogRecord = {
    stream,
    time: line.toString('latin1', 0, first),
    partial: line[second + 1] === 0x50, // P
    continues: false,
    run: 1,
    lost: 0,
    content: line.subarray(third + 1),
  };
  if (line[second + 2] === colon) {
    readTags(record, line.toString('latin1', second + 3, third));
  }
  return record;
}

function readTags(record: LogRecord, tags: string): void {
  for (const tag of tags.split(':')) {
    const [name, value] = tag.split('=');
    if (name === 'cont') {
      record.continues = true;
    } else if (name === 'run' || name === 'lost' || name === 'file') {
      record[name] = Number(value);
    }
  }
}
