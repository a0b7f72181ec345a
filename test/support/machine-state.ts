import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';

/** One thing on this machine that the runtime made: what it is, and a line that tells it from every other. */
export interface Trace {
  kind:
    | 'process'
    | 'mount'
    | 'cgroup'
    | 'link'
    | 'nft table'
    | 'run-time folder'
    | 'temporary folder'
    | 'descriptor'
    | 'owner';
  id: string;
}

/**
 * Every trace of the runtime that can be seen now. Cheap (a few ms), for it runs before and after each test. What belongs to
 * another program that is running (a demo, a test run of somebody else) is left out as far as that can be told.
 */
export function findTraces(): Trace[] {
  const table = readProcessTable();
  const supervised = supervisedProcesses(table);
  const foreign = new Set(supervised.filter((one) => hasForeignOwner(one, table)).map((one) => one.pid));
  const own = supervised.filter((one) => !foreign.has(one.pid));
  // Links, tables and sockets do not tell whose they are: beside another program's containers nobody can be blamed for them.
  const unowned = foreign.size > 0 ? [] : [...of('link', links()), ...of('nft table', nftTables())];
  const folders = foreign.size > 0 ? [] : of('run-time folder', runTimeFolders());
  return [
    ...of(
      'process',
      own.map((one) => `${one.pid} ${one.name} started ${one.started}`),
    ),
    ...of('mount', mounts()),
    ...of('cgroup', cgroups(foreign)),
    ...unowned,
    ...folders,
    ...of('temporary folder', temporaryFolders(table)),
    ...of('descriptor', descriptors()),
    ...of('owner', strangeOwners()),
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

type ProcessTable = ReadonlyMap<number, ProcessInfo>;

function readProcessTable(): ProcessTable {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((one) => one !== undefined);
  return new Map(all.map((one) => [one.pid, one]));
}

// Supervisors and all that descends from them: a payload whose supervisor has died is reparented, but in its outer pid
// namespace it died too; what is left with another parent shows as a cgroup that cannot be removed.
function supervisedProcesses(table: ProcessTable): ProcessInfo[] {
  return [...table.values()].filter((one) => ancestors(one, table).some((each) => isSupervisor(each)));
}

function isSupervisor(one: ProcessInfo): boolean {
  return one.name.startsWith('dinghy-supervis');
}

/** The process itself, its parent, and so on up to the first. */
function ancestors(one: ProcessInfo, table: ProcessTable): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (let each: ProcessInfo | undefined = one; each && !found.includes(each); each = table.get(each.parent)) {
    found.push(each);
  }
  return found;
}

// A supervisor is a child of the program that started it; when that has died, the child of some reaper. So one that has a Node
// above it which is neither we nor above us belongs to somebody else.
function hasForeignOwner(one: ProcessInfo, table: ProcessTable): boolean {
  const above = ancestors(one, table);
  const self = table.get(process.pid);
  if (self === undefined || above.includes(self)) return false;
  const aboveUs = ancestors(self, table);
  return above.some((each) => !isSupervisor(each) && each.name === 'node' && !aboveUs.includes(each));
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

function cgroups(foreign: ReadonlySet<number>): string[] {
  const roots = new Set(
    lines('/proc/self/mountinfo')
      .filter((line) => / - cgroup2? /.test(line))
      .map((line) => line.split(' ')[4]!),
  );
  const found = [...roots].flatMap((root) => foldersBelow(join(root, 'dinghy')));
  return found.filter((path) => !lines(join(path, 'cgroup.procs')).some((pid) => foreign.has(Number(pid))));
}

// The folder `dinghy` itself stays: it is where the next container goes, and removing it races with another process.
function foldersBelow(folder: string): string[] {
  return names(folder)
    .map((name) => join(folder, name))
    .filter((path) => isFolder(path));
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

// temporary-folder.ts puts the maker's pid into the name: that of another live process is its own affair.
function temporaryFolders(table: ProcessTable): string[] {
  return names(tmpdir())
    .filter((name) => name.startsWith('dinghy-'))
    .filter((name) => {
      const pid = Number(/-(\d+)-[^-]+$/.exec(name)?.[1]);
      return pid === process.pid || !table.has(pid);
    })
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

// Canaries: what an entrypoint gives away by a careless `chown -R`, if a link in its /proc or /sys leads out of the container. Seen
// once, when one was run without confinement.
function strangeOwners(): string[] {
  const program = readFileSync('/proc/self/maps', 'utf8');
  const libraries = [...new Set(program.match(/\/\S*\/(?:libc|ld-linux[^/\s]*)\.so\S*/g))];
  return ['/', '/usr', '/etc', '/proc/sys/kernel/core_pattern', '/bin/sh', '/bin/sleep', ...libraries].flatMap(
    (path) => {
      const { uid, gid } = statSync(path);
      return uid === 0 && gid === 0 ? [] : [`${path} belongs to ${uid}:${gid}`];
    },
  );
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
