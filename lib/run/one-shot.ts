import type { ContainerProcess } from './container-process';
import type { ContainerControl } from './container-control';
import { LogAttachment } from './attach';
import { armDeadline, checkExit } from './exec';
import type { CollectSettings } from './exec-options';
import type { ExecResult, WaitResult } from './exec-result';
import { LogReader } from './log-file';
import { asyncDispose } from '../util/dispose';
import type { TerminalSize } from './options';

export interface OneShotSettings {
  argv: readonly string[];
  timeoutMs?: number;
  signal?: AbortSignal;
}

/**
 * A fresh container ran to its end and is gone, however it went.
 *
 * @throws what its start throws; ABORT_ERR · ERR_TIMEOUT (both with the output so far); ERR_EXIT_CODE under `check`
 */
export async function runToEnd(
  control: ContainerControl,
  settings: OneShotSettings,
  collect: CollectSettings,
): Promise<ExecResult<string | Buffer>> {
  const startedMs = performance.now();
  const deadline = armDeadline(settings);
  try {
    deadline.onFired(() => void control.kill('SIGKILL').catch(() => undefined));
    const feeding = collect.input === undefined ? undefined : await feed(control, collect.input);
    try {
      await control.start();
      // It fired before there was anything to kill.
      if (deadline.fired) {
        await control.kill('SIGKILL').catch(() => undefined);
      }
      const result = await control.wait({});
      const durationMs = performance.now() - startedMs;
      const output = await readOutput(control, collect);
      const { stdout, stderr, truncated } = output;
      deadline.throwIfFired({ stdout, stderr });
      const { signal, oomKilled } = result;
      return checkExit(settings, collect, {
        exitCode: result.exitCode ?? 137,
        signal,
        stdout,
        stderr,
        durationMs,
        oomKilled,
        truncated,
      });
    } finally {
      await feeding?.detach();
    }
  } finally {
    deadline.disarm();
    await control.close();
  }
}

async function feed(control: ContainerControl, input: Uint8Array): Promise<LogAttachment> {
  const attachment = await LogAttachment.open(control, { stdin: true });
  attachment.stdin.end(input);
  return attachment;
}

/** The whole output is in the log by the time the end is announced. */
async function readOutput(
  control: ContainerControl,
  { encoding, maxOutputBytes }: CollectSettings,
): Promise<{ stdout: string | Buffer; stderr: string | Buffer; truncated: boolean }> {
  const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const sizes = { stdout: 0, stderr: 0 };
  let truncated = false;
  const keep = (stream: 'stdout' | 'stderr', bytes: Buffer): void => {
    const room = maxOutputBytes - sizes[stream];
    truncated ||= bytes.length > room;
    if (room > 0 && bytes.length > 0) {
      kept[stream].push(bytes.subarray(0, room));
      sizes[stream] += Math.min(room, bytes.length);
    }
  };
  const reader = new LogReader(control.places.log);
  try {
    for await (const records of reader.read({ once: true })) {
      for (const { stream, partial, content } of records) {
        keep(stream, content);
        if (!partial) {
          keep(stream, newline);
        }
      }
    }
  } finally {
    await reader.close();
  }
  const value = (chunks: Buffer[]): string | Buffer => {
    const bytes = Buffer.concat(chunks);
    return encoding === 'buffer' ? bytes : bytes.toString('utf8');
  };
  return { stdout: value(kept.stdout), stderr: value(kept.stderr), truncated };
}

const newline = Buffer.from('\n');

/** The first process of a fresh container, with live streams. The container goes with it. */
export class OneShotProcess implements ContainerProcess {
  readonly #control: ContainerControl;
  readonly #attachment: LogAttachment;
  readonly #ended: Promise<WaitResult>;

  private constructor(control: ContainerControl, attachment: LogAttachment, settings: OneShotSettings) {
    this.#control = control;
    this.#attachment = attachment;
    const deadline = armDeadline(settings);
    deadline.onFired(() => void this.kill('SIGKILL').catch(() => undefined));
    this.#ended = this.#run().finally(() => deadline.disarm());
    this.#ended.catch(() => undefined); // told by wait()
  }

  /** @throws what its start throws; then nothing of it is left */
  static async start(control: ContainerControl, settings: OneShotSettings): Promise<OneShotProcess> {
    try {
      const attachment = await LogAttachment.open(control, {});
      await control.start();
      return new OneShotProcess(control, attachment, settings);
    } catch (error) {
      await control.close();
      throw error;
    }
  }

  get stdin(): ContainerProcess['stdin'] {
    return this.#attachment.stdin;
  }

  get stdout(): ContainerProcess['stdout'] {
    return this.#attachment.stdout;
  }

  get stderr(): ContainerProcess['stderr'] {
    return this.#attachment.stderr;
  }

  get pid(): number {
    return this.#attachment.pid;
  }

  async resize(size: TerminalSize): Promise<void> {
    await this.#attachment.resize(size);
  }

  async kill(name?: string): Promise<void> {
    await this.#attachment.kill(name);
  }

  async wait(): Promise<WaitResult> {
    return this.#ended;
  }

  async [asyncDispose](): Promise<void> {
    await this.#attachment.detach();
    await this.#control.close();
  }

  /** What is unread stays readable: the streams have the log open, and an open file outlives its name. */
  async #run(): Promise<WaitResult> {
    const result = await this.#control.wait({});
    await this.#control.close();
    return result;
  }
}
