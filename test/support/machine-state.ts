import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { spawnSync } from 'node:child_process';

/** One thing on this machine that the runtime made: what it is, and a line that tells it from every other. */
export interface Trace {
  kind: 'process' | 'mount' | 'cgroup' | 'link' | 'nft table' | 'run-time folder' | 'temporary folder' | 'descriptor';
  id: string;
}

/** Every trace of the runtime that can be seen now. Cheap (a few ms), for it runs before and after each test. */
export function findTraces(): Trace[] {
  return [
    ...of('process', processes()),
    ...of('mount', mounts()),
    ...of('cgroup', cgroups()),
    ...of('link', links()),
    ...of('nft table', nftTables()),
    ...of('run-time folder', runTimeFolders()),
    ...of('temporary folder', temporaryFolders()),
    ...of('descriptor', descriptors()),
  ];
}

function of(kind: Trace['kind'], ids: readonly string[]): Trace[] {
  return ids.map((id) => ({ kind, id }));
}

interface ProcessInfo {
  pid: number;
  parent: number;
  name: string;
  started: string;
}

// Supervisors and all that descends from them: a payload whose supervisor has died is reparented, but in its outer pid
// namespace it died too; what is left with another parent shows as a cgroup that cannot be removed.
function processes(): string[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((one) => one !== undefined);
  const ours = new Set(all.filter((one) => one.name.startsWith('dinghy-supervis')).map((one) => one.pid));
  // Children may be listed before their parents when pids wrap: repeat until nothing is added.
  for (let before = -1; before !== ours.size;) {
    before = ours.size;
    for (const one of all) if (ours.has(one.parent)) ours.add(one.pid);
  }
  return all.filter((one) => ours.has(one.pid)).map((one) => `${one.pid} ${one.name} started ${one.started}`);
}

function readProcess(pid: number): ProcessInfo | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name stands in parentheses and may contain any character, also a parenthesis.
    const close = text.lastIndexOf(')');
    const fields = text.slice(close + 2).split(' ');
    return {
      pid,
      name: text.slice(text.indexOf('(') + 1, close),
      parent: Number(fields[1]),
      started: fields[19] ?? '',
    };
  } catch {
    return undefined;
  }
}

function mounts(): string[] {
  return lines('/proc/self/mountinfo')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.includes('dinghy') && !path.includes('dinghy-test/work.'));
}

function cgroups(): string[] {
  const roots = new Set(
    lines('/proc/self/mountinfo')
      .filter((line) => / - cgroup2? /.test(line))
      .map((line) => line.split(' ')[4]!),
  );
  return [...roots].flatMap((root) => foldersBelow(join(root, 'dinghy')));
}

// The folder `dinghy` itself stays: it is where the next container goes, and removing it races with another process.
function foldersBelow(folder: string): string[] {
  return names(folder)
    .map((name) => join(folder, name))
    .filter((path) => isFolder(path))
    .filter((path) => basename(path) !== 'supervisors' || foldersBelow(path).length > 0);
}

function links(): string[] {
  return names('/sys/class/net').filter((name) => /^(dinghy|dgy)/.test(name));
}

function nftTables(): string[] {
  if (process.getuid?.() !== 0) return [];
  const result = spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' });
  return (result.stdout ?? '').split('\n').filter((line) => /\bdinghy/.test(line));
}

function runTimeFolders(): string[] {
  return names('/run')
    .filter((name) => name.startsWith('dinghy'))
    .flatMap((name) => names(join('/run', name)).map((entry) => join('/run', name, entry)));
}

function temporaryFolders(): string[] {
  return names(tmpdir())
    .filter((name) => name.startsWith('dinghy-'))
    .map((name) => join(tmpdir(), name));
}

// What this process itself holds open below a data folder: a lock kept, or a file nobody closed.
function descriptors(): string[] {
  return names('/proc/self/fd').flatMap((name) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${name}`);
      return /\/dinghy[^/]*\/|pidfd/.test(target) && !/node_modules|\.(node|ts|js)$|dinghy-supervisor/.test(target)
        ? [`${name} ${target}`]
        : [];
    } catch {
      return [];
    }
  });
}

function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
