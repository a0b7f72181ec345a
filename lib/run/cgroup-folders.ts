import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where one container is accounted for: its folder in each cgroup hierarchy, as this process sees them. */
export interface CgroupFolders {
  /** In the unified hierarchy (cgroup v2), where the controllers are unless `controllers` has them. */
  unified?: string;
  /** By controller, of cgroup v1: `memory`, `cpuacct`. */
  controllers: Readonly<Record<string, string>>;
}

interface CgroupMount {
  root: string;
  point: string;
  /** Empty for v2. */
  controllers: string[];
}

/**
 * The container's own cgroup, from its first process. Undefined when it has none: it lives in its creator's (an ordinary user to
 * whom no cgroup was delegated), or has just ended.
 */
export function findCgroup(pid: number, id: string): CgroupFolders | undefined {
  const places = readText(`/proc/${pid}/cgroup`);
  const mounts = parseMounts(readText('/proc/self/mountinfo') ?? '');
  return places === undefined ? undefined : locateCgroup(places, mounts, id);
}

/** `places` is the content of /proc/<pid>/cgroup: `4:memory:/dinghy/<id>`, and `0::/dinghy/<id>` for v2. */
export function locateCgroup(places: string, mounts: readonly CgroupMount[], id: string): CgroupFolders | undefined {
  const controllers: Record<string, string> = {};
  let unified: string | undefined;
  for (const line of places.split('\n')) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    // A program inside may have made cgroups below its own, and moved there.
    const own = path === undefined ? -1 : path.indexOf(id);
    if (names === undefined || path === undefined || own < 0) {
      continue;
    }
    const end = path.indexOf('/', own);
    const place = end < 0 ? path : path.slice(0, end);
    const listed = names.split(',').filter((name) => name !== '' && !name.startsWith('name='));
    const mount = mounts.find(({ controllers: has }) =>
      names === '' ? has.length === 0 : listed.some((name) => has.includes(name)),
    );
    const folder = mount && folderBelow(mount, place);
    if (folder === undefined) {
      continue;
    }
    if (names === '') {
      unified = folder;
    }
    listed.forEach((name) => (controllers[name] = folder));
  }
  return unified === undefined && Object.keys(controllers).length === 0
    ? undefined
    : { ...(unified === undefined ? {} : { unified }), controllers };
}

// A mount may show a part of its hierarchy alone, as in many a CI container.
function folderBelow({ root, point }: CgroupMount, path: string): string | undefined {
  if (root === '/') {
    return join(point, path);
  }
  return path === root || path.startsWith(`${root}/`) ? join(point, path.slice(root.length)) : undefined;
}

/** proc_pid_mountinfo(5): `id parent major:minor root point options optional… - type source super-options`. */
export function parseMounts(text: string): CgroupMount[] {
  const mounts: CgroupMount[] = [];
  for (const line of text.split('\n')) {
    const [before, after] = line.split(' - ');
    const [type, , options] = (after ?? '').split(' ');
    const [, , , root, point] = before!.split(' ');
    if ((type !== 'cgroup' && type !== 'cgroup2') || root === undefined || point === undefined) {
      continue;
    }
    mounts.push({
      root: unescape(root),
      point: unescape(point),
      controllers: type === 'cgroup2' ? [] : (options ?? '').split(','),
    });
  }
  return mounts;
}

function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_whole, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
