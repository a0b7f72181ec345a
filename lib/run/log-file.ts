import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

import { DinghyError } from '../errors';
import { LogParser, type LogRecord, parseRecord } from './log-parser';
import { findTail } from './log-tail';

const chunkSize = 256 * 1024;
const longestHeader = 256;

// A stream that nobody reads keeps its file open, as an unread pipe of a child process does; let go of by the garbage collector, the
// handle would print a warning.
const readersWithFile = new Set<LogReader>();

interface OpenFile {
  handle: FileHandle;
  inode: bigint;
}

/**
 * Reads a container's log from its oldest rotated file to the present end, and later from there on. Across a rotation nothing is lost,
 * because an open file stays readable after its rename; what was removed before its turn came is told.
 */
export class LogReader {
  readonly #path: string;
  #parser = new LogParser();
  readonly #buffer = Buffer.allocUnsafe(chunkSize);
  /** The one that is read, and those that follow it, as far as they are known. */
  #files: OpenFile[] = [];
  #opened = false;
  #position = 0;
  /** Of the file that is read: how many rotations there were before it; undefined until its first record tells. */
  #rotation: number | undefined;
  #expected: number | undefined;
  #startsLine: Partial<Record<LogRecord['stream'], boolean>> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Everything that is there now will not be read: only what comes after it. */
  async skipToEnd(): Promise<void> {
    this.#opened = true;
    const file = await openFile(this.#path);
    if (file) {
      this.#take([file]);
      const head = Buffer.alloc(longestHeader);
      const { bytesRead } = await file.handle.read(head, 0, longestHeader, 0);
      this.#rotation = bytesRead > 0 ? (parseRecord(head.subarray(0, bytesRead))?.file ?? 0) : undefined;
      this.#position = (await file.handle.stat()).size;
    }
  }

  /** Of what is there now only the last `lines` lines of these streams will be read. */
  async skipToTail(lines: number, streams: ReadonlySet<LogRecord['stream']>): Promise<void> {
    if (lines === 0) {
      return this.skipToEnd();
    }
    await this.#openAll();
    const start = await findTail(
      this.#files.map(({ handle }) => handle),
      lines,
      streams,
    );
    await Promise.all(this.#files.splice(0, start.file).map(({ handle }) => handle.close()));
    this.#position = start.position;
    // Further back begin the lines whose pieces come next.
    this.#startsLine = start.file > 0 || start.position > 0 ? {} : undefined;
  }

  /**
   * The records that are there and were not read yet, in pieces; an empty log is fine. Ends at the present end; `once` at what is the
   * end when it begins, however fast the log grows.
   *
   * @throws ERR_OUTPUT_LOST when files were rotated away before they were read
   */
  async *read({ once = false } = {}): AsyncGenerator<LogRecord[]> {
    if (!this.#opened) {
      await this.#openAll();
    }
    const last = once ? await this.#files.at(-1)?.handle.stat() : undefined;
    for (;;) {
      const [file] = this.#files;
      if (!file) {
        if (once || !(await this.#findNext())) {
          return;
        }
        continue;
      }
      const isLast = last !== undefined && this.#files.length === 1;
      const wanted = isLast ? Math.min(chunkSize, last.size - this.#position) : chunkSize;
      const { bytesRead } = await file.handle.read(this.#buffer, 0, wanted, this.#position);
      if (bytesRead > 0) {
        this.#position += bytesRead;
        // A copy, since the records share its memory and the buffer is used again.
        yield this.#check(this.#parser.push(Buffer.from(this.#buffer.subarray(0, bytesRead))));
      } else if (this.#files.length > 1) {
        await this.#shift();
      } else if (once || !(await this.#findNext())) {
        return;
      }
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    readersWithFile.delete(this);
    await Promise.all(this.#files.splice(0).map(({ handle }) => handle.close()));
  }

  async #openAll(): Promise<void> {
    this.#opened = true;
    this.#take(await openSince(this.#path, undefined));
  }

  #take(files: OpenFile[]): void {
    this.#files.push(...files);
    if (this.#files.length > 0) {
      readersWithFile.add(this);
    }
  }

  /** The file that is read was the newest: whether there is another now. It may have grown before its rotation, so it is read once more. */
  async #findNext(): Promise<boolean> {
    const [file] = this.#files;
    const newest = await stat(this.#path, { bigint: true }).catch(ignoreMissing);
    if (!newest) {
      return false;
    }
    if (newest.ino === file?.inode) {
      // The disk filled up in the middle of a record, which the supervisor took back.
      if (newest.size < this.#position) {
        this.#position = Number(newest.size);
        this.#parser = new LogParser();
      }
      return false;
    }
    this.#take(await openSince(this.#path, file?.inode));
    return this.#files.length > (file ? 1 : 0);
  }

  async #shift(): Promise<void> {
    await this.#files.shift()?.handle.close();
    this.#position = 0;
    this.#expected = this.#rotation === undefined ? undefined : this.#rotation + 1;
    this.#rotation = undefined;
  }

  #check(records: LogRecord[]): LogRecord[] {
    const [first] = records;
    if (first && this.#rotation === undefined) {
      this.#rotation = first.file ?? 0;
      // One that an older version rotated does not say.
      if (first.file !== undefined && this.#expected !== undefined && first.file !== this.#expected) {
        throw rotatedAway();
      }
    }
    const starts = this.#startsLine;
    return starts ? records.filter(({ stream, continues }) => (starts[stream] ||= !continues)) : records;
  }
}

function rotatedAway(): DinghyError {
  return new DinghyError({
    code: 'ERR_OUTPUT_LOST',
    message:
      'the log was rotated faster than it was read here, and files of it were removed: read faster, or raise maxSize or maxFiles ' +
      'of the option log',
  });
}

async function openFile(path: string): Promise<OpenFile | undefined> {
  const handle = await open(path, 'r').catch(ignoreMissing);
  return handle && { handle, inode: (await handle.stat({ bigint: true })).ino };
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') {
    throw error;
  }
}

/**
 * The log's files, the oldest first; only those newer than `inode`, if that is among them. Opened from the newest on: a rotation
 * meanwhile moves a file towards those that are still to be opened, and one that comes by twice is known by its inode.
 */
async function openSince(path: string, inode: bigint | undefined): Promise<OpenFile[]> {
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path)).catch(() => []);
  const numbers = names.filter((name) => name.startsWith(prefix)).map((name) => Number(name.slice(prefix.length)) || 0);
  const files: OpenFile[] = [];
  for (let number = 0; number <= Math.max(0, ...numbers) + 1; number++) {
    const file = await openFile(number === 0 ? path : `${path}.${number}`);
    if (!file || file.inode === inode || files.some((one) => one.inode === file.inode)) {
      await file?.handle.close();
      if (file?.inode === inode) {
        break;
      }
      continue;
    }
    files.unshift(file);
  }
  return files;
}
