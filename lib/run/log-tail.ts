import type { FileHandle } from 'node:fs/promises';

import { type LogRecord, parseRecord } from './log-parser';

const chunkSize = 64 * 1024;
const newline = 10;

/** Where the last lines of a log begin. */
export interface TailStart {
  /** The index of the file. */
  file: number;
  position: number;
}

/**
 * Looks from the end backwards, so that it costs what is found and not what the log has. A line is counted where it begins: a record
 * that goes on with one does not count. `files` are the log's, the oldest first.
 */
export async function findTail(
  files: readonly FileHandle[],
  lines: number,
  streams: ReadonlySet<LogRecord['stream']>,
): Promise<TailStart> {
  let left = lines;
  for (let file = files.length - 1; file >= 0; file--) {
    for await (const { record, position } of recordsBackwards(files[file]!)) {
      if (record && !record.continues && streams.has(record.stream) && --left === 0) {
        return { file, position };
      }
    }
  }
  return { file: 0, position: 0 };
}

/** What comes after the last newline is still being written, and no record yet. */
async function* recordsBackwards(
  file: FileHandle,
): AsyncGenerator<{ record: LogRecord | undefined; position: number }> {
  let { size: start } = await file.stat();
  let rest = Buffer.alloc(0);
  let isComplete = false;
  while (start > 0) {
    const size = Math.min(chunkSize, start);
    const chunk = Buffer.allocUnsafe(size);
    await file.read(chunk, 0, size, start - size);
    start -= size;
    rest = Buffer.concat([chunk, rest]);
    for (let end = rest.lastIndexOf(newline); end >= 0; end = rest.lastIndexOf(newline)) {
      const line = rest.subarray(end + 1);
      rest = rest.subarray(0, end);
      if (isComplete) {
        yield { record: parseRecord(line), position: start + end + 1 };
      }
      isComplete = true;
    }
  }
  if (isComplete && rest.length > 0) {
    yield { record: parseRecord(rest), position: 0 };
  }
}
