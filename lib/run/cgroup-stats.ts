import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { CgroupFolders } from './cgroup-folders';

/** What the kernel has counted for one cgroup so far. What this host does not count is 0. */
export interface CgroupSample {
  cpuUsageMs: number;
  cpuThrottledMs: number;
  memoryBytes: number;
  /** Of files: what the kernel gives back when memory is short. */
  cacheBytes: number;
  /** Absent: unlimited. */
  memoryLimitBytes?: number;
  pids: number;
  pidsLimit?: number;
  readBytes: number;
  writtenBytes: number;
}

/** Numbers of this size and above are how cgroup v1 says that there is no limit: LONG_MAX in whole pages. */
const unlimited = 2 ** 62;

/** Both versions, each controller where this host has it. @throws ENOENT when the container has just ended */
export function sampleCgroup({ unified, controllers }: CgroupFolders): CgroupSample {
  const { memory = unified, pids = unified, cpu = unified, cpuacct, blkio } = controllers;
  const memoryStat = read(memory, 'memory.stat');
  // As Docker: pages of files that nobody has used lately don't count.
  const legacy = controllers['memory'] !== undefined;
  const used = number(read(memory, legacy ? 'memory.usage_in_bytes' : 'memory.current'));
  const inactive = keyed(memoryStat, legacy ? 'total_inactive_file' : 'inactive_file');
  const memoryLimit = limit(read(memory, legacy ? 'memory.limit_in_bytes' : 'memory.max'));
  const pidsLimit = limit(read(pids, 'pids.max'));
  const io = blkio === undefined ? unifiedIo(read(unified, 'io.stat')) : legacyIo(blkio);
  const cpuStat = read(cpu, 'cpu.stat');
  return {
    cpuUsageMs:
      cpuacct === undefined
        ? keyed(read(unified, 'cpu.stat'), 'usage_usec') / 1e3
        : number(read(cpuacct, 'cpuacct.usage')) / 1e6,
    cpuThrottledMs:
      controllers['cpu'] === undefined
        ? keyed(cpuStat, 'throttled_usec') / 1e3
        : keyed(cpuStat, 'throttled_time') / 1e6,
    memoryBytes: inactive < used ? used - inactive : used,
    cacheBytes: keyed(memoryStat, legacy ? 'total_cache' : 'file'),
    ...(memoryLimit === undefined ? {} : { memoryLimitBytes: memoryLimit }),
    pids: number(read(pids, 'pids.current')),
    ...(pidsLimit === undefined ? {} : { pidsLimit }),
    ...io,
  };
}

type Io = Pick<CgroupSample, 'readBytes' | 'writtenBytes'>;

/** `8:0 rbytes=4096 wbytes=0 rios=1 …`, a line for each device. */
export function unifiedIo(text: string): Io {
  const sum = (key: string): number =>
    [...text.matchAll(new RegExp(`\\b${key}=(\\d+)`, 'g'))].reduce((all, match) => all + Number(match[1]), 0);
  return { readBytes: sum('rbytes'), writtenBytes: sum('wbytes') };
}

/** `8:0 Read 4096`, a line for each device and kind. */
function legacyIo(folder: string): Io {
  const names = ['blkio.throttle.io_service_bytes_recursive', 'blkio.throttle.io_service_bytes'];
  const text = names.map((name) => read(folder, name)).find((content) => /\d/.test(content)) ?? '';
  const sum = (kind: string): number =>
    [...text.matchAll(new RegExp(`^\\d+:\\d+ ${kind} (\\d+)$`, 'gm'))].reduce(
      (all, match) => all + Number(match[1]),
      0,
    );
  return { readBytes: sum('Read'), writtenBytes: sum('Write') };
}

function read(folder: string | undefined, name: string): string {
  if (folder === undefined) {
    return '';
  }
  try {
    return readFileSync(join(folder, name), 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Not a controller of this folder. EOPNOTSUPP: a file that this kind of cgroup has and can't answer.
    if (code === 'ENOENT' || code === 'EOPNOTSUPP' || code === 'ENODEV') {
      return '';
    }
    throw error;
  }
}

function number(text: string): number {
  return Number(text.trim()) || 0;
}

function keyed(text: string, key: string): number {
  return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

function limit(text: string): number | undefined {
  const value = Number(text.trim() === '' ? NaN : text.trim());
  return Number.isFinite(value) && value < unlimited ? value : undefined;
}
