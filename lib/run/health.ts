import { readFileSync } from 'node:fs';

import { DinghyError } from '../errors';
import { abortError, onAbort, throwIfAborted } from '../util/abort';
import type { ContainerControl } from './container-control';
import type { ContainerHealth } from './inspect';
import type { Observation } from './state';

interface HealthDocument {
  status: ContainerHealth['status'];
  failingStreak: number;
  log: { start: string; end: string; exitCode: number; output: string }[];
}

/** What the health check has found; undefined without one, and before the first start. */
export function readHealth(path: string, { dead }: Observation): ContainerHealth | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined; // not there, or removed meanwhile
  }
  const { status, failingStreak, log } = JSON.parse(text) as HealthDocument;
  return {
    status: dead ? 'unhealthy' : status,
    failingStreak,
    log: log.map(({ start, end, exitCode, output }) => ({
      start: new Date(start),
      end: new Date(end),
      exitCode,
      output,
    })),
  };
}

/** Its health check has found it well. @throws ERR_INVALID_OPTION when it has none; ABORT_ERR */
export async function waitUntilHealthy(control: ContainerControl, signal: AbortSignal): Promise<void> {
  const link = await control.connectOrLaunch();
  try {
    await link.subscribe();
    for (;;) {
      const { state, version } = link;
      if (state?.status === 'running' && state.health === undefined) {
        throw new DinghyError({
          code: 'ERR_INVALID_OPTION',
          message: `waitFor {healthy: true}: container ${control.record.name} has no health check: give option healthcheck`,
          details: { option: 'healthy' },
        });
      }
      if (state?.status === 'running' && state.health === 'healthy') {
        return;
      }
      await link.changed(version, signal);
      throwIfAborted(signal);
      if (link.isClosed) {
        // Its end is the other racer's to tell.
        await new Promise<void>((_resolve, reject) => onAbort(signal, () => reject(abortError(signal))));
      }
    }
  } finally {
    link.close();
  }
}
