import { DinghyError } from '../errors';
import { abortError, onAbort, throwIfAborted } from '../util/abort';
import type { CollectSettings, SpawnSettings } from './exec-options';
import type { ExecResult, WaitResult } from './exec-result';
import { JoinedProcess } from './joined-process';
import { OutputCollector } from './output-collector';
import type { ContainerPlaces } from './places';

/**
 * Runs a process in a running container to its end. Aborted or out of time, it was killed with its children before this rejects.
 *
 * @throws ABORT_ERR · ERR_TIMEOUT (both with the output so far) · ERR_EXIT_CODE under `check`
 */
export async function execInContainer(
  places: ContainerPlaces,
  settings: SpawnSettings,
  collect: CollectSettings,
): Promise<ExecResult<string | Buffer>> {
  throwIfAborted(settings.signal);
  const startedMs = performance.now();
  const deadline = armDeadline(settings);
  try {
    const child = await JoinedProcess.start(places, settings);
    const stdout = new OutputCollector(child.stdout, collect.maxOutputBytes);
    const stderr = new OutputCollector(child.stderr, collect.maxOutputBytes);
    child.stdin.end(collect.input ?? '');
    deadline.onFired(() => child.abandon());
    const result = await child.wait();
    if (deadline.fired) {
      // Killed: a pipe ends when the last of its writers has gone.
      await Promise.all([stdout.ended, stderr.ended]);
    } else {
      await outputEnd(child, stdout, stderr);
    }
    const output = { stdout: stdout.value(collect.encoding), stderr: stderr.value(collect.encoding) };
    deadline.throwIfFired(output);
    const durationMs = performance.now() - startedMs;
    const truncated = stdout.isTruncated || stderr.isTruncated;
    return checkExit(settings, collect, { ...endOf(result), ...output, durationMs, truncated });
  } finally {
    deadline.disarm();
  }
}

// Children that the process left in the background may hold its pipes for hours; Docker returns when the process has ended. What is
// in the pipes at that moment was written before and is read.
const lingerMs = 100;

async function outputEnd(child: JoinedProcess, stdout: OutputCollector, stderr: OutputCollector): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const lingered = new Promise<void>((resolve) => (timer = setTimeout(resolve, lingerMs)));
  await Promise.race([Promise.all([stdout.ended, stderr.ended]), lingered]);
  clearTimeout(timer);
  child.stdout.destroy();
  child.stderr.destroy();
}

function endOf({ exitCode, signal, oomKilled }: WaitResult): Pick<ExecResult, 'exitCode' | 'signal' | 'oomKilled'> {
  return { exitCode: exitCode ?? 137, signal, oomKilled };
}

export function checkExit<Result extends ExecResult<string | Buffer>>(
  { argv }: { argv: readonly string[] },
  { check }: { check: boolean },
  result: Result,
): Result {
  if (check && result.exitCode !== 0) {
    const how = result.signal ? `was ended by ${result.signal}` : `exited with ${result.exitCode}`;
    throw new DinghyError({
      code: 'ERR_EXIT_CODE',
      message: `${argv[0]} ${how}${result.oomKilled ? ' (out of memory)' : ''}: the error's result has its output`,
      exitCode: result.exitCode,
      stdout: result.stdout,
      stderr: result.stderr,
      result,
    });
  }
  return result;
}

/** Whichever comes first, the time-out or the signal, is the reason: it's what the call rejects with. */
export interface Deadline {
  readonly fired: boolean;
  /** Runs the listener when it fires, at once if it has. */
  onFired(listener: () => void): void;
  throwIfFired(output: { stdout: string | Buffer; stderr: string | Buffer }): void;
  disarm(): void;
}

export function armDeadline({ timeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal }): Deadline {
  let reason: 'timeout' | 'signal' | undefined;
  const listeners: (() => void)[] = [];
  const fire = (why: 'timeout' | 'signal'): void => {
    if (!reason) {
      reason = why;
      listeners.forEach((listener) => listener());
    }
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => fire('timeout'), timeoutMs);
  const release = onAbort(signal, () => fire('signal'));
  return {
    get fired() {
      return reason !== undefined;
    },
    onFired(listener) {
      listeners.push(listener);
      if (reason) {
        listener();
      }
    },
    throwIfFired(output) {
      if (reason === 'signal') {
        throw abortError(signal!, output);
      }
      if (reason === 'timeout') {
        throw new DinghyError({
          code: 'ERR_TIMEOUT',
          message: `the process was killed after its time-out of ${timeoutMs} ms`,
          ...output,
        });
      }
    },
    disarm() {
      clearTimeout(timer);
      release();
    },
  };
}
