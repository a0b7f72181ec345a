import { statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

import { type JournalEvent, journalPlaces } from './journal';

const chunkBytes = 65536;
/** Of a line: what is longer is no event. */
const maxLineBytes = 1 << 20;
const newline = 10;

/** How much of each file of the journal there was at some moment, by inode. */
export type JournalMark = ReadonlyMap<string, number>;

/** The journal as it stands: a reader that starts from here gives what comes after. Two calls of stat. */
export function markJournal(state: string): JournalMark {
  const { current, older } = journalPlaces(state);
  const marks = [older, current].flatMap((path): [string, number][] => {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat ? [[`${stat.dev} ${stat.ino}`, Number(stat.size)]] : [];
  });
  return new Map(marks);
}

interface OpenFile {
  key: string;
  file: FileHandle;
  offset: number;
  /** The beginning of a line whose end is not written yet. */
  rest: Buffer;
}

/**
 * Reads what was added to the journal since it was last asked. The files are known by inode and stay open, so that one that is
 * rotated meanwhile is read to its end: also what a slow writer adds to it after it lost its name.
 */
export class JournalReader {
  readonly #paths: readonly string[];
  readonly #mark: JournalMark;
  #files: OpenFile[] = [];

  constructor(state: string, mark: JournalMark = new Map()) {
    const { current, older } = journalPlaces(state);
    // Opened in this order: were it rotated between the two, the one that is current now would be met twice, not missed.
    this.#paths = [current, older];
    this.#mark = mark;
  }

  /** The new events, in the order of the files; lines that are no events are passed over. */
  async *read(): AsyncGenerator<JournalEvent[]> {
    await this.#openNew();
    for (const one of [...this.#files]) {
      yield* readFile(one);
      if ((await one.file.stat()).nlink === 0) {
        this.#files = this.#files.filter((each) => each !== one);
        await one.file.close();
      }
    }
  }

  async close(): Promise<void> {
    const files = this.#files;
    this.#files = [];
    await Promise.all(files.map(({ file }) => file.close()));
  }

  async #openNew(): Promise<void> {
    const found: OpenFile[] = [];
    for (const path of this.#paths) {
      const file = await openIfThere(path);
      if (!file) {
        continue;
      }
      const stat = await file.stat({ bigint: true });
      const key = `${stat.dev} ${stat.ino}`;
      if ([...this.#files, ...found].some((each) => each.key === key)) {
        await file.close();
        continue;
      }
      found.unshift({ key, file, offset: this.#mark.get(key) ?? 0, rest: Buffer.alloc(0) });
    }
    this.#files.push(...found);
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

async function* readFile(one: OpenFile): AsyncGenerator<JournalEvent[]> {
  const buffer = Buffer.allocUnsafe(chunkBytes);
  for (;;) {
    const { bytesRead } = await one.file.read(buffer, 0, buffer.length, one.offset);
    if (bytesRead === 0) {
      return;
    }
    one.offset += bytesRead;
    const text = Buffer.concat([one.rest, buffer.subarray(0, bytesRead)]);
    const end = text.lastIndexOf(newline) + 1;
    one.rest = text.length - end > maxLineBytes ? Buffer.alloc(0) : text.subarray(end);
    const events = parseLines(text.subarray(0, end).toString());
    if (events.length > 0) {
      yield events;
    }
  }
}

function parseLines(text: string): JournalEvent[] {
  return text.split('\n').flatMap((line) => (line === '' ? [] : (parseLine(line) ?? [])));
}

const types: readonly unknown[] = ['container', 'image', 'network', 'volume'];

/** Undefined for what a killed writer left torn, and for what a later version may write. */
function parseLine(line: string): JournalEvent | undefined {
  try {
    const event = JSON.parse(line) as Partial<JournalEvent> | null;
    const isEvent =
      types.includes(event?.type) &&
      typeof event?.action === 'string' &&
      typeof event.id === 'string' &&
      !Number.isNaN(Date.parse(String(event.time))) &&
      typeof event.attributes === 'object' &&
      event.attributes !== null;
    return isEvent ? (event as JournalEvent) : undefined;
  } catch {
    return undefined;
  }
}
