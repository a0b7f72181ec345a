import { type FileHandle, open, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { LogParser, type LogRecord } from './log-parser';

const chunkSize = 256 * 1024;

// A stream that nobody reads keeps its file open, as an unread pipe of a child process does; let go of by the garbage collector, the
// handle would print a warning.
const readersWithFile = new Set<LogReader>();

/**
 * Reads a container's log from its oldest rotated file to the present end, and later from there on: across a rotation
 * nothing is lost, because the open file stays readable after its rename.
 */
export class LogReader {
  readonly #path: string;
  readonly #parser = new LogParser();
  readonly #buffer = Buffer.allocUnsafe(chunkSize);
  #queue: string[] | undefined;
  #file: FileHandle | undefined;
  #inode = 0n;
  #position = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Everything that is there now will not be read: only what comes after it. */
  async skipToEnd(): Promise<void> {
    this.#queue = [];
    this.#file = await this.#openNext();
    if (this.#file) {
      this.#position = (await this.#file.stat()).size;
    }
  }

  /** The records that are there and were not read yet, in pieces; an empty log is fine. Ends at the present end. */
  async *read(): AsyncGenerator<LogRecord[]> {
    this.#queue ??= await rotatedFiles(this.#path);
    let rotated = false;
    for (;;) {
      this.#file ??= await this.#openNext();
      if (!this.#file) {
        return;
      }
      const { bytesRead } = await this.#file.read(this.#buffer, 0, chunkSize, this.#position);
      if (bytesRead > 0) {
        rotated = false;
        this.#position += bytesRead;
        // A copy, since the records share its memory and the buffer is used again.
        yield this.#parser.push(Buffer.from(this.#buffer.subarray(0, bytesRead)));
      } else if (rotated) {
        rotated = false;
        await this.close();
      } else if (await this.#rotated()) {
        rotated = true; // it may have grown between the last read and its rotation: read it once more
      } else {
        return;
      }
    }
  }

  /** Idempotent; the position is kept. */
  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    readersWithFile.delete(this);
    await file?.close();
  }

  async #openNext(): Promise<FileHandle | undefined> {
    const path = this.#queue?.shift() ?? this.#path;
    try {
      const file = await open(path, 'r');
      const { ino } = await file.stat({ bigint: true });
      this.#inode = ino;
      this.#position = 0;
      readersWithFile.add(this);
      return file;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        return path === this.#path ? undefined : this.#openNext();
      }
      throw error;
    }
  }

  /** Whether the file being read is no longer the newest: then the next one follows it. */
  async #rotated(): Promise<boolean> {
    if ((this.#queue?.length ?? 0) > 0) {
      return true;
    }
    try {
      const newest = await open(this.#path, 'r');
      const { ino } = await newest.stat({ bigint: true }).finally(() => newest.close());
      if (ino === this.#inode) {
        return false;
      }
      // More than one rotation may have passed since the last look: all files newer than the one that was read.
      const files = await rotatedFiles(this.#path);
      this.#queue = await newerThan(files, this.#inode);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        return false;
      }
      throw error;
    }
  }
}

/** `container.log.2`, `container.log.1`, `container.log`: the oldest first. */
async function rotatedFiles(path: string): Promise<string[]> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  const entries = await readdir(folder).catch(() => []);
  const numbers = entries
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((left, right) => right - left);
  return [...numbers.map((number) => join(folder, `${prefix}${number}`)), path];
}

async function newerThan(files: string[], inode: bigint): Promise<string[]> {
  for (const [index, path] of files.entries()) {
    const file = await open(path, 'r').catch(() => undefined);
    const stat = await file?.stat({ bigint: true });
    await file?.close();
    if (stat?.ino === inode) {
      return files.slice(index + 1);
    }
  }
  return files;
}
