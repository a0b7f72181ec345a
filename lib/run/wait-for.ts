import type * as Http from 'node:http';

import { DinghyError } from '../errors';
import { abortError, onAbort, sleep, throwIfAborted } from '../util/abort';
import { checkDuration, checkOptions, checkSignal, invalidOption, type PlainObject } from '../util/checks';
import type { ContainerControl } from './container-control';
import { execInContainer } from './exec';
import { checkArgv, settleSpawn } from './exec-options';
import type { WaitForOptions } from './handle';
import { waitUntilHealthy } from './health';
import { isListening, parsePortNumber, type PortNumber } from './listening';
import { isRunning, readLogs, readLogTail, settleLogs } from './logs';
import { findBinding, reachableHost } from './ports';
import { isActive, observe } from './state';

/** Resolves when it's met; throws when it never can be. Must stop soon after the signal fires. */
type Check = (control: ContainerControl, signal: AbortSignal) => Promise<void>;

const defaultTimeoutMs = 60_000;
const firstPauseMs = 5;
const longestPauseMs = 200;

/** @throws ERR_INVALID_OPTION; ERR_NOT_IMPLEMENTED */
export function settleConditions(option: string, value: unknown): Check[] {
  const conditions = Array.isArray(value) ? value : [value];
  return conditions.map((condition: unknown, index) => settleCondition(`${option}[${index}]`, condition));
}

/**
 * All conditions are met.
 *
 * @throws ERR_TIMEOUT and ERR_CONTAINER_EXITED, both with logTail; ABORT_ERR
 */
export async function waitForConditions(
  control: ContainerControl,
  checks: Check[],
  options: WaitForOptions,
): Promise<void> {
  const { timeoutMs: given, signal: givenSignal } = checkOptions('waitFor', options, ['timeoutMs', 'signal']);
  const timeoutMs = given === undefined ? defaultTimeoutMs : checkDuration('timeoutMs', given);
  const signal = givenSignal === undefined ? undefined : checkSignal('signal', givenSignal);
  throwIfAborted(signal);
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let release = (): void => undefined;
  try {
    await Promise.race([
      Promise.all(checks.map((check) => check(control, stop.signal))),
      failWhenEnded(control, stop.signal),
      new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new DinghyError(timedOut(control, timeoutMs))), timeoutMs);
        release = onAbort(signal, () => reject(abortError(signal!)));
      }),
    ]);
  } catch (error) {
    throw await withLogTail(control, error);
  } finally {
    clearTimeout(timer);
    release();
    stop.abort();
  }
}

function settleCondition(option: string, value: unknown): Check {
  const condition = checkOptions(option, value ?? null, ['port', 'log', 'times', 'http', 'healthy', 'exec']);
  const { port, log, times, http, healthy, exec } = condition;
  const kinds = [port, log, http, healthy, exec].filter((kind) => kind !== undefined);
  if (kinds.length !== 1 || (times !== undefined && log === undefined)) {
    throw invalidOption(option, value, 'must be one of {port}, {log, times?}, {http}, {healthy: true}, {exec}');
  }
  if (port !== undefined) {
    return portCheck(parsePortNumber(`${option}.port`, port));
  }
  if (log !== undefined) {
    return logCheck(option, log, times);
  }
  if (http !== undefined) {
    return httpCheck(`${option}.http`, checkOptions(`${option}.http`, http, ['port', 'path', 'status', 'tls']));
  }
  if (exec !== undefined) {
    return execCheck(checkArgv(exec));
  }
  if (healthy !== true) {
    throw invalidOption(`${option}.healthy`, healthy, 'must be true');
  }
  return waitUntilHealthy;
}

function portCheck(port: PortNumber): Check {
  return poll(async (control) => {
    const pid = observe(control.places).state?.pid ?? 0;
    return pid > 0 && isListening(pid, port);
  });
}

function logCheck(option: string, pattern: unknown, times: unknown): Check {
  const isPattern = Object.prototype.toString.call(pattern) === '[object RegExp]';
  if (typeof pattern !== 'string' && !isPattern) {
    throw invalidOption(`${option}.log`, pattern, 'must be a string or a RegExp');
  }
  const wanted = times ?? 1;
  if (!Number.isInteger(wanted) || (wanted as number) < 1) {
    throw invalidOption(`${option}.times`, times, 'must be a positive integer');
  }
  const matches = (line: string): boolean =>
    typeof pattern === 'string' ? line.includes(pattern) : freshMatch(pattern as RegExp, line);
  return async (control, signal) => {
    const { state } = observe(control.places);
    let current = (state?.runs ?? 0) + (state && isActive(state) && state.status !== 'restarting' ? 0 : 1);
    let seen = 0;
    for await (const { line, run } of readLogs(control, settleLogs({ follow: true, signal }))) {
      if (run > current) {
        current = run; // started again: what its last run wrote says nothing of this one
        seen = 0;
      }
      if (run === current && matches(String(line)) && ++seen === wanted) {
        return;
      }
    }
    // The log has ended, and with it the container: that is the other racer's to tell.
    await new Promise<void>((_resolve, reject) => onAbort(signal, () => reject(abortError(signal))));
  };
}

// A global or sticky expression remembers where it stopped.
function freshMatch(pattern: RegExp, line: string): boolean {
  pattern.lastIndex = 0;
  return pattern.test(line);
}

function httpCheck(option: string, { port, path = '/', status, tls = false }: PlainObject): Check {
  const wanted = parsePortNumber(`${option}.port`, port);
  if (typeof path !== 'string' || !path.startsWith('/')) {
    throw invalidOption(`${option}.path`, path, "must be a path like '/healthz'");
  }
  if (status !== undefined && !Number.isInteger(status)) {
    throw invalidOption(`${option}.status`, status, 'must be an HTTP status');
  }
  return poll(async (control, signal) => {
    const { state } = observe(control.places);
    const binding = findBinding(state?.ports ?? [], wanted);
    const host = binding ? reachableHost(binding) : state?.address?.replace(/\/.*$/, '');
    if (!host) {
      return false;
    }
    const code = await requestStatus({ host, port: binding?.hostPort ?? wanted.port, path, tls: tls === true, signal });
    return status === undefined ? code >= 200 && code < 400 : code === status;
  });
}

interface StatusRequest {
  host: string;
  port: number;
  path: string;
  tls: boolean;
  signal: AbortSignal;
}

/** The status of one answer, or 0. A certificate is not verified: a fresh container has one that nobody vouches for. */
function requestStatus({ host, port, path, tls, signal }: StatusRequest): Promise<number> {
  // Loaded when used; not by import(), which Jest refuses in its default mode.
  const { get } = (tls ? require('node:https') : require('node:http')) as typeof Http;
  return new Promise((resolve) => {
    const options = { host, port, path, signal, timeout: 2000, agent: false as const, rejectUnauthorized: false };
    const request = get(options, (response) => {
      response.destroy();
      resolve(response.statusCode ?? 0);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(0));
  });
}

function execCheck(argv: string[]): Check {
  return poll(async (control, signal) => {
    const settings = settleSpawn(argv, { signal });
    const collect = { encoding: 'utf8', maxOutputBytes: 4096, check: false } as const;
    if (!isRunning(control)) {
      return false;
    }
    try {
      return (await execInContainer(control.places, settings, collect)).exitCode === 0;
    } catch (error) {
      // It has ended meanwhile, which is the other racer's to tell, or stands still.
      const { code } = error as DinghyError;
      if (code === 'ERR_CONTAINER_NOT_RUNNING' || code === 'ERR_CONTAINER_PAUSED') {
        return false;
      }
      throw error;
    }
  });
}

function poll(test: (control: ContainerControl, signal: AbortSignal) => Promise<boolean>): Check {
  return async (control, signal) => {
    for (
      let pauseMs = firstPauseMs;
      !(await test(control, signal));
      pauseMs = Math.min(longestPauseMs, pauseMs * 1.5)
    ) {
      await sleep(pauseMs, signal);
    }
  };
}

async function failWhenEnded(control: ContainerControl, signal: AbortSignal): Promise<never> {
  const result = await control.waitForStop(signal);
  const how = result.signal ? `was ended by ${result.signal}` : `exited with ${result.exitCode ?? 'an unknown status'}`;
  throw new DinghyError({
    code: 'ERR_CONTAINER_EXITED',
    message: `container ${control.record.name} ${how} before it was ready${result.oomKilled ? ' (out of memory)' : ''}`,
    ...(result.exitCode === null ? {} : { exitCode: result.exitCode }),
    details: { ...result },
  });
}

function timedOut(control: ContainerControl, timeoutMs: number): ConstructorParameters<typeof DinghyError>[0] {
  return {
    code: 'ERR_TIMEOUT',
    message: `container ${control.record.name} was not ready within ${timeoutMs} ms: see logTail, or give a longer timeoutMs`,
  };
}

async function withLogTail(control: ContainerControl, error: unknown): Promise<unknown> {
  const known = error as DinghyError;
  if (known.code !== 'ERR_CONTAINER_EXITED' && known.code !== 'ERR_TIMEOUT') {
    return error;
  }
  const { code, message, exitCode, details } = known;
  return new DinghyError({ code, message, exitCode, details, logTail: await readLogTail(control) });
}
