import { Readable, Writable } from 'node:stream';

import { DinghyError, isDinghyError } from '../errors';
import { onAbort } from '../util/abort';
import { asyncDispose } from '../util/dispose';
import { type Attachment, noTerminal } from './container-process';
import type { ContainerControl } from './container-control';
import type { WaitResult } from './exec-result';
import type { AttachOptions } from './handle';
import { LogReader } from './log-file';
import type { LogRecord } from './log-parser';
import { followLog } from './logs';
import { checkSignalName, checkTerminalSize } from './settle-options';
import type { SupervisorState } from './state';
import type { SupervisorLink } from './supervisor-link';

/**
 * The streams of the container's first process. Output comes from the log file, at each reader's own pace: a slow one slows nobody,
 * several may attach, and what was written before a crash is still there.
 */
export class LogAttachment implements Attachment {
  /** Inside the container, whose first process it is. */
  readonly pid = 1;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly #control: ContainerControl;
  readonly #link: SupervisorLink;
  readonly #release: () => void;
  readonly #stopReading = new AbortController();

  private constructor(control: ContainerControl, link: SupervisorLink, readers: LogReader[], options: AttachOptions) {
    this.#control = control;
    this.#link = link;
    const run = attachedRun(link.state);
    const read = (reader: LogReader, stream: LogRecord['stream']): Readable => {
      const bytes = bytesOf({ reader, link, stream, run, stopped: this.#stopReading.signal });
      const readable = Readable.from(bytes, { objectMode: false });
      // A generator that was never started has no end of its own to close the file in.
      readable.once('close', () => void reader.close());
      forgotten.register(readable, reader);
      return readable;
    };
    const [forStdout, forStderr] = readers;
    this.stdout = read(forStdout!, 'stdout');
    this.stderr = forStderr ? read(forStderr, 'stderr') : Readable.from([], { objectMode: false });
    const wantsStdin = options.stdin ?? control.record.openStdin;
    this.stdin = wantsStdin ? stdinOf(link) : closedStdin();
    for (const stream of [this.stdin, this.stdout, this.stderr]) {
      stream.on('error', () => undefined); // an end by detach() or by the container's end is no crash of the program
    }
    this.#release = onAbort(options.signal, () => void this.detach());
  }

  /** @throws ERR_CONTAINER_NOT_FOUND */
  static async open(control: ContainerControl, options: AttachOptions): Promise<LogAttachment> {
    if (options.stdin && !control.record.openStdin) {
      throw new DinghyError({
        code: 'ERR_INVALID_OPTION',
        message: 'option stdin: the container was made without openStdin, so nothing reads what is written',
        details: { option: 'stdin' },
      });
    }
    const link = await control.connectOrLaunch();
    const readers = Array.from({ length: control.record.tty ? 1 : 2 }, () => new LogReader(control.places.log));
    try {
      await Promise.all(readers.map((reader) => reader.skipToEnd()));
      await link.subscribe({ log: true });
      await link.request('cannot attach', 'attach', { stdin: options.stdin ?? control.record.openStdin });
      return new LogAttachment(control, link, readers, options);
    } catch (error) {
      link.close();
      await Promise.all(readers.map((reader) => reader.close()));
      throw error;
    }
  }

  async resize(size: { columns: number; rows: number }): Promise<void> {
    const { columns, rows } = checkTerminalSize('size', size);
    if (!this.#control.record.tty) {
      throw noTerminal();
    }
    try {
      await this.#link.request('cannot resize the terminal', 'resize', { columns, rows });
    } catch (error) {
      if (!this.#link.isClosed) {
        throw error;
      }
    }
  }

  async kill(name = 'SIGTERM'): Promise<void> {
    checkSignalName('signal', name);
    await this.#control.kill(name).catch((error: unknown) => {
      if (!isDinghyError(error) || !endedCodes.has(error.code)) {
        throw error;
      }
    });
  }

  async wait(): Promise<WaitResult> {
    return this.#control.wait({});
  }

  async detach(): Promise<void> {
    this.#release();
    this.#stopReading.abort();
    for (const stream of [this.stdout, this.stderr]) {
      if (!stream.readableDidRead) {
        stream.destroy(); // what is being read comes to its end by itself
      }
    }
    this.stdin.destroy();
    this.#link.close();
  }

  async [asyncDispose](): Promise<void> {
    await this.detach();
  }
}

/** Streams that nobody read or destroyed: their files are closed when they are collected. */
const forgotten = new FinalizationRegistry<LogReader>((reader) => void reader.close());

const endedCodes = new Set(['ERR_CONTAINER_NOT_RUNNING', 'ERR_CONTAINER_NOT_FOUND']);

/** The run of the program whose streams these are: the present one, or else the next. */
function attachedRun(state: SupervisorState | undefined): number {
  const runs = state?.runs ?? 0;
  return state?.status === 'running' || state?.status === 'paused' ? runs : runs + 1;
}

/** As in Docker, streams end with the process they were attached to, though its policy may start another. */
function isOver({ state }: SupervisorLink, run: number): boolean {
  const runs = state?.runs ?? 0;
  return runs > run || (runs === run && (state?.status === 'stopped' || state?.status === 'restarting'));
}

const newline = Buffer.from('\n');

interface StreamSource {
  reader: LogReader;
  link: SupervisorLink;
  stream: LogRecord['stream'];
  run: number;
  stopped: AbortSignal;
}

async function* bytesOf({ reader, link, stream, run, stopped }: StreamSource): AsyncGenerator<Buffer> {
  try {
    for await (const records of followLog(reader, link, { stopped, isOver: () => isOver(link, run) })) {
      const pieces = (records ?? [])
        .filter((record) => record.stream === stream && record.run <= run)
        .flatMap(({ content, partial }) => (partial ? [content] : [content, newline]));
      if (pieces.length > 0) {
        yield Buffer.concat(pieces);
      }
      if (stopped.aborted) {
        return; // not at the end of a log that may grow faster than it is read
      }
    }
  } finally {
    await reader.close();
  }
}

function stdinOf(link: SupervisorLink): Writable {
  return new Writable({
    decodeStrings: true,
    write: (chunk: Buffer, _encoding, done) => void link.control.writeStdin(chunk).then(() => done(), done),
    final: (done) =>
      void link.control.endStdin().then(
        () => done(),
        () => done(),
      ),
  });
}

function closedStdin(): Writable {
  const stream = new Writable({ write: (_chunk, _encoding, done) => done() });
  stream.end();
  return stream;
}
