import { readFileSync } from 'node:fs';

import { DinghyError } from '../errors';
import { sleep, throwIfAborted } from '../util/abort';
import { type CgroupFolders, findCgroup } from './cgroup-folders';
import { type CgroupSample, sampleCgroup } from './cgroup-stats';
import type { ContainerControl } from './container-control';
import { type InterfaceStats, parseNetDev } from './net-dev';
import { observe } from './state';

export interface ContainerStats {
  time: Date;
  cpu: {
    /** Since its start. */
    usageMs: number;
    /** Of one CPU, since the last sample; two busy CPUs are 200. */
    percent: number;
    /** How long its limit held it up, since its start. */
    throttledMs: number;
  };
  memory: {
    /** Without pages of files that nobody has used lately, as Docker counts. */
    usageBytes: number;
    /** Absent: unlimited. */
    limitBytes?: number;
    /** Pages of files, used lately or not. */
    cacheBytes: number;
  };
  pids: { current: number; limit?: number };
  /** From and to block devices. */
  io: { readBytes: number; writtenBytes: number };
  /** Of all its interfaces but loopback; nothing where it has the host's network. */
  network: { receivedBytes: number; sentBytes: number; interfaces: Record<string, InterfaceStats> };
}

export interface StatsSettings {
  intervalMs: number;
  signal?: AbortSignal;
}

/** Between the two looks that one answer takes: a share of CPU needs a span of time. */
const firstIntervalMs = 100;

/**
 * What it uses now.
 * @throws ERR_CONTAINER_NOT_RUNNING, ERR_CONTAINER_NOT_FOUND, ERR_HOST_UNSUPPORTED, ABORT_ERR
 */
export async function statsOnce(control: ContainerControl, signal: AbortSignal | undefined): Promise<ContainerStats> {
  throwIfAborted(signal);
  const first = take(control);
  await sleep(firstIntervalMs, signal);
  return describe(first, take(control, first.run));
}

/** The same again and again; ends when the container does. */
export async function* streamStats(
  control: ContainerControl,
  { intervalMs, signal }: StatsSettings,
): AsyncGenerator<ContainerStats> {
  throwIfAborted(signal);
  let before = take(control);
  let dueMs = before.atMs + Math.min(firstIntervalMs, intervalMs);
  for (;;) {
    await sleep(Math.max(0, dueMs - performance.now()), signal);
    let now: Taken;
    try {
      now = take(control, before.run);
    } catch (error) {
      const { code } = error as DinghyError;
      if (code === 'ERR_CONTAINER_NOT_RUNNING' || code === 'ERR_CONTAINER_NOT_FOUND') {
        return;
      }
      throw error;
    }
    yield describe(before, now);
    throwIfAborted(signal);
    before = now;
    dueMs = Math.max(dueMs + intervalMs, now.atMs);
  }
}

/** Where one run of the container is to be looked at. */
interface Run {
  pid: number;
  startedAt?: string;
  cgroup: CgroupFolders;
}

interface Taken {
  run: Run;
  atMs: number;
  sample: CgroupSample;
  interfaces: Record<string, InterfaceStats>;
}

function take(control: ContainerControl, known?: Run): Taken {
  const run = findRun(control, known);
  try {
    return {
      run,
      atMs: performance.now(),
      sample: sampleCgroup(run.cgroup),
      interfaces: readInterfaces(control, run.pid),
    };
  } catch (error) {
    // The kernel takes a process's files away before its supervisor has told of its end.
    const { code } = error as NodeJS.ErrnoException;
    throw code === 'ENOENT' || code === 'ESRCH' || code === 'EINVAL' ? control.notRunning() : error;
  }
}

/** A run that follows upon the known one counts from 0: it is another. */
function findRun(control: ContainerControl, known: Run | undefined): Run {
  const { alive, state } = observe(control.places);
  const runs = alive && state !== undefined && (state.status === 'running' || state.status === 'paused');
  if (!runs || state.pid <= 0) {
    throw control.notRunning();
  }
  if (known?.pid === state.pid && known.startedAt === state.startedAt) {
    return known;
  }
  const cgroup = findCgroup(state.pid, control.record.id);
  if (cgroup) {
    return { pid: state.pid, cgroup, ...(state.startedAt === undefined ? {} : { startedAt: state.startedAt }) };
  }
  if (!isAlive(state.pid)) {
    throw control.notRunning();
  }
  throw new DinghyError({
    code: 'ERR_HOST_UNSUPPORTED',
    message:
      `container ${control.record.name} has no cgroup of its own, so nobody counts what it uses: run as root, or have a cgroup ` +
      'delegated to this user (systemd-run --user --scope -p Delegate=yes)',
    details: { container: control.record.id },
  });
}

/** Of a process that has ended, and that nobody has waited for yet, the kernel says that it is in the root's cgroup. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name before it may hold parentheses of its own.
    return !/^\) [ZX]/.test(stat.slice(stat.lastIndexOf(')')));
  } catch {
    return false;
  }
}

function readInterfaces(control: ContainerControl, pid: number): Record<string, InterfaceStats> {
  return control.record.network.mode === 'host' ? {} : parseNetDev(readFileSync(`/proc/${pid}/net/dev`, 'latin1'));
}

function describe(before: Taken, now: Taken): ContainerStats {
  const { sample, interfaces } = now;
  const sameRun = before.run === now.run;
  const usedMs = Math.max(0, sample.cpuUsageMs - (sameRun ? before.sample.cpuUsageMs : 0));
  const all = Object.values(interfaces);
  return {
    time: new Date(),
    cpu: {
      usageMs: sample.cpuUsageMs,
      percent: (usedMs / Math.max(1, now.atMs - before.atMs)) * 100,
      throttledMs: sample.cpuThrottledMs,
    },
    memory: {
      usageBytes: sample.memoryBytes,
      ...(sample.memoryLimitBytes === undefined ? {} : { limitBytes: sample.memoryLimitBytes }),
      cacheBytes: sample.cacheBytes,
    },
    pids: { current: sample.pids, ...(sample.pidsLimit === undefined ? {} : { limit: sample.pidsLimit }) },
    io: { readBytes: sample.readBytes, writtenBytes: sample.writtenBytes },
    network: {
      receivedBytes: all.reduce((sum, each) => sum + each.receivedBytes, 0),
      sentBytes: all.reduce((sum, each) => sum + each.sentBytes, 0),
      interfaces,
    },
  };
}
