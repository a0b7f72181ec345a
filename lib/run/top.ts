import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

import { inParallel } from '../util/in-parallel';
import { findCgroup } from './cgroup-folders';
import type { ContainerControl } from './container-control';
import { parseProcess, type TopProcess } from './proc-stat';
import { observe } from './state';

export type { TopProcess } from './proc-stat';

const readersAtOnce = 16;

/**
 * The container's processes, read in this host's /proc: nothing of the image is run (CVE-2022-1227), and it need not have ps.
 * @throws ERR_CONTAINER_NOT_RUNNING, ERR_CONTAINER_NOT_FOUND
 */
export async function topContainer(control: ContainerControl): Promise<TopProcess[]> {
  const { alive, state } = observe(control.places);
  if (!alive || !state || (state.status !== 'running' && state.status !== 'paused') || state.pid <= 0) {
    throw control.notRunning();
  }
  const cgroup = findCgroup(state.pid, control.record.id);
  const folder = cgroup && (cgroup.unified ?? Object.values(cgroup.controllers)[0]);
  const pids = folder === undefined ? await pidsOfNamespace(state.pid) : await pidsOfCgroup(folder);
  const host = { bootTimeMs: bootTimeMs(), nowMs: Date.now(), users: userNames() };
  const found: TopProcess[] = [];
  await inParallel([...pids], readersAtOnce, new AbortController(), async (pid) => {
    const process = await readProcess(pid, host);
    if (process) {
      found.push(process);
    }
  });
  return found.sort((left, right) => left.pid - right.pid);
}

/** What is in the folder and below: exec has a folder of its own there, and so may programs inside. */
async function pidsOfCgroup(folder: string): Promise<Set<number>> {
  const pids = new Set<number>();
  // One that is removed meanwhile has none; of a threaded one the processes are those of its parent.
  const list = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '');
  for (const line of list.split('\n')) {
    if (Number(line) > 0) {
      pids.add(Number(line));
    }
  }
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (entry.isDirectory()) {
      (await pidsOfCgroup(join(folder, entry.name))).forEach((pid) => pids.add(pid));
    }
  }
  return pids;
}

/** Where it has no cgroup of its own: all that are in its pid namespace. */
async function pidsOfNamespace(init: number): Promise<Set<number>> {
  const own = await readlink(`/proc/${init}/ns/pid`).catch(() => undefined);
  const pids = new Set<number>();
  const all = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  await inParallel(all, readersAtOnce, new AbortController(), async (pid) => {
    const theirs = await readlink(`/proc/${pid}/ns/pid`).catch(() => undefined);
    if (theirs !== undefined && theirs === own) {
      pids.add(pid);
    }
  });
  return pids;
}

async function readProcess(
  pid: number,
  host: { bootTimeMs: number; nowMs: number; users: ReadonlyMap<number, string> },
): Promise<TopProcess | undefined> {
  try {
    const [stat, status, commandLine] = await Promise.all(
      ['stat', 'status', 'cmdline'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8')),
    );
    return parseProcess({ pid, stat: stat!, status: status!, commandLine: commandLine! }, host);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') {
      return undefined; // it has ended meanwhile
    }
    throw error;
  }
}

function bootTimeMs(): number {
  return Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? 0) * 1000;
}

// Docker runs the host's ps, which knows the host's names alone; a container's own would have to be believed.
function userNames(): Map<number, string> {
  const names = new Map<number, string>();
  let text = '';
  try {
    text = readFileSync('/etc/passwd', 'utf8');
  } catch {
    // A host without one has numbers.
  }
  for (const line of text.split('\n')) {
    const [name, , uid] = line.split(':');
    if (name && uid && !names.has(Number(uid))) {
      names.set(Number(uid), name);
    }
  }
  return names;
}
