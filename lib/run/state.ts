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

export type HealthStatus = 'starting' | 'healthy' | 'unhealthy';

/** state.json, and the answer to `state`: what the supervisor knows. */
export interface SupervisorState {
  status: 'created' | 'running' | 'paused' | 'restarting' | 'stopped';
  /** Of the first process, as /proc of this host shows it; 0 unless it runs. */
  pid: number;
  startedAt?: string;
  /** Of its last end, as the three below: kept while it runs again. */
  finishedAt?: string;
  /** 128+n when a signal ended it. */
  exitCode?: number;
  /** A number; 0 or absent when no signal ended it. */
  signal?: number;
  oomKilled: boolean;
  /** How many processes of this run the kernel has killed for want of memory; PID 1 may have survived. */
  oomKills?: number;
  error?: string;
  /** Bytes of output that a full disk swallowed. */
  logLost?: number;
  /** How often its program was started, by whomever. */
  runs?: number;
  restartCount: number;
  /** Absent without a health check. */
  health?: HealthStatus;
  /** Somebody ended it, and nobody has started it since. */
  manuallyStopped?: boolean;
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
  return { alive, state, dead: !alive && state !== undefined && isActive(state) };
}

export function readState(path: string): SupervisorState | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as SupervisorState;
  } catch {
    return undefined; // not started yet, or removed meanwhile: it is replaced by rename, so never half-written
  }
}

/** It runs, stands still, or is about to run again: a supervisor that says so and is gone was killed. */
export function isActive({ status }: SupervisorState): boolean {
  return status === 'running' || status === 'paused' || status === 'restarting';
}

/** How it ended, in the words of `wait()`, or that nobody knows. */
export function waitResult(state: SupervisorState | undefined): WaitResult {
  return state?.status === 'stopped'
    ? endOf(state)
    : { exitCode: null, signal: null, oomKilled: false, error: unseenEnd(state) };
}

/** How it last ended, whatever it does now: of a state that a supervisor told. */
export function endOf(state: SupervisorState): WaitResult {
  return {
    exitCode: state.exitCode ?? null,
    signal: state.signal ? signalName(state.signal) : null,
    oomKilled: state.oomKilled,
    ...(state.error ? { error: state.error } : {}),
  };
}

export const supervisorKilled = 'its supervisor was killed, so nobody saw how it ended';

/** Why nobody knows how it ended, where its state says that it runs and nobody supervises it. */
export function unseenEnd(state: SupervisorState | undefined): string {
  const isOfEarlierBoot = state !== undefined && state.bootId !== '' && state.bootId !== currentBoot();
  return isOfEarlierBoot ? 'the host was started anew while it ran, so nobody saw how it ended' : supervisorKilled;
}

function currentBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
