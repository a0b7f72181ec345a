/** One record of the log: a line, or a piece of one. */
export interface LogRecord {
  stream: 'stdout' | 'stderr';
  /** ISO 8601 with nanoseconds, as written. */
  time: string;
  /** True: the line goes on in the next record of this stream. */
  partial: boolean;
  content: Buffer;
  /** Of which run of the program it is, counted from 1, as far as what was read tells. */
  run: number;
}

const newline = 10;
const space = 32;

/**
 * Cuts the bytes of a CRI log (`<time> <stream> <F|P> <content>\n`) into records. Content is kept as bytes: a character may be cut
 * between two pieces of a line.
 */
export class LogParser {
  #rest: Buffer = Buffer.alloc(0);
  #run = 1;

  /** The records that are complete with `chunk`; they share its memory. */
  push(chunk: Buffer): LogRecord[] {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const records: LogRecord[] = [];
    let start = 0;
    for (let end = bytes.indexOf(newline, start); end >= 0; end = bytes.indexOf(newline, start)) {
      const record = parseRecord(bytes.subarray(start, end));
      if (record?.stream === 'system') {
        this.#run = runOf(record.content) ?? this.#run;
      } else if (record) {
        records.push({ ...record, stream: record.stream, run: this.#run });
      }
      start = end + 1;
    }
    this.#rest = bytes.subarray(start);
    return records;
  }
}

interface ParsedRecord extends Omit<LogRecord, 'stream' | 'run'> {
  /** `system`: no output, but a word of the supervisor. */
  stream: LogRecord['stream'] | 'system';
}

/** `run 2`: what follows is output of the program's second run. */
function runOf(content: Buffer): number | undefined {
  const [, number] = /^run (\d{1,15})$/.exec(content.toString('latin1')) ?? [];
  return number === undefined ? undefined : Number(number);
}

function parseRecord(line: Buffer): ParsedRecord | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  const third = line.indexOf(space, second + 1);
  if (first < 0 || second < 0 || third < 0) {
    return undefined; // torn by a crash or a full disk: what follows is whole again
  }
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr' && stream !== 'system') {
    return undefined;
  }
  return {
    stream,
    time: line.toString('latin1', 0, first),
    partial: line[second + 1] === 0x50, // P
    content: line.subarray(third + 1),
  };
}
