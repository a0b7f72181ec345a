import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the kernel has for the container in the first of these files, in whichever hierarchy. */
export function limitFile(id: string, ...names: string[]): string {
  const roots = ['/sys/fs/cgroup', ...readdirSync('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name))];
  const files = roots.flatMap((root) => names.map((name) => join(root, 'dinghy', id, name)));
  const found = files.find((path) => existsSync(path));
  return found === undefined ? 'missing' : readFileSync(found, 'utf8').trim();
}
