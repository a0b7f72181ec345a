import { readFileSync } from 'node:fs';

import { signalName } from '../oci/signals';
import { isLocked } from '../store/locks';
import type { WaitResult } from './exec-result';

export interface PortBinding {
  hostAddress: string;
  hostPort: number;
  containerPort: number;
  protocol: 'tcp' | 'udp';
}

/** state.json, and the answer to `state`: what the supervisor knows. */
export interface SupervisorState {
  status: 'created' | 'running' | 'paused' | 'stopped';
  /** Of the first process, as /proc of this host shows it; 0 unless it runs. */
  pid: number;
  startedAt?: string;
  finishedAt?: string;
  /** 128+n when a signal ended it. */
  exitCode?: number;
  /** A number; 0 or absent when no signal ended it. */
  signal?: number;
  oomKilled: boolean;
  error?: string;
  /** Bytes of output that a full disk swallowed. */
  logLost?: number;
  restartCount: number;
  supervisorPid: number;
  bootId: string;
  ports: PortBinding[];
  address?: string;
}

/** Whether a supervisor serves the container, and what it last said. */
export interface Observation {
  alive: boolean;
  state?: SupervisorState;
  /** It ran, and its supervisor was killed: nobody saw it end. */
  dead: boolean;
}

/**
 * What the disk says about a container. A flock that the supervisor holds for life tells whether it lives: pids and boot ids
 * cannot (pid namespaces share data folders, and numbers come again).
 */
export function observe(places: { state: string; lock: string }): Observation {
  const alive = isLocked(places.lock);
  const state = readState(places.state);
  return { alive, state, dead: !alive && (state?.status === 'running' || state?.status === 'paused') };
}

export function readState(path: string): SupervisorState | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as SupervisorState;
  } catch {
    return undefined; // not started yet, or removed meanwhile: it is replaced by rename, so never half-written
  }
}

/** How it ended, in the words of `wait()`. */
export function waitResult(state: SupervisorState | undefined): WaitResult {
  const ended = state?.status === 'stopped';
  return {
    exitCode: ended ? (state.exitCode ?? null) : null,
    signal: ended && state.signal ? signalName(state.signal) : null,
    oomKilled: state?.oomKilled ?? false,
    ...(ended ? (state.error ? { error: state.error } : {}) : { error: supervisorKilled }),
  };
}

export const supervisorKilled = 'its supervisor was killed, so nobody saw how it ended';
