// What the entry scripts share. Plain Node with no dependency: a fresh clone has no node_modules when these run.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const isCi = process.env.CI !== undefined && process.env.CI !== '' && process.env.CI !== 'false';

/** The program of a dependency: node_modules/.bin without npx, which costs half a second. */
export const tool = (name) => join(root, 'node_modules', '.bin', name);

/** Runs a command in the repository's root. Quiet ones show their output only when they fail. Ends this script then, unless `mayFail`. */
export function run(command, args, { quiet = false, hideOutput = false, mayFail = false, env = {} } = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 256 << 20,
    // Jest prints its report on stderr and, asked for JSON, a copy of it on stdout.
    stdio: ['inherit', hideOutput ? 'ignore' : quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
  });
  const status = result.status ?? (result.signal ? 128 : 127);
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  if (status !== 0 && !mayFail) {
    if (quiet) process.stderr.write(output);
    console.error(
      `${relative(root, command) || command} ${args.join(' ')}: ${result.error?.message ?? `exit ${status}`}`,
    );
    process.exit(1);
  }
  return { status, output };
}

/** Every file under the given files and folders, sorted, relative to the root; folders named in `except` are left out. */
export function filesOf(paths, { except = [], matching = /./ } = {}) {
  const found = [];
  const visit = (path) => {
    const full = join(root, path);
    if (!existsSync(full)) return;
    if (!statSync(full).isDirectory()) {
      if (matching.test(path)) found.push(path);
      return;
    }
    for (const name of readdirSync(full)) {
      if (!except.includes(name)) visit(join(path, name));
    }
  };
  paths.forEach(visit);
  return found.sort();
}

/**
 * Does `work` unless the same files, by content, were there when it last ended well and `outputs` still exist. With
 * `keepOldStamp` this time does not count as having ended well.
 */
export function whenChanged(stamp, files, outputs, work, { keepOldStamp = false } = {}) {
  const hash = createHash('sha256').update(process.version);
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  const now = hash.digest('hex');
  const stampFile = join(root, stamp);
  const same = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === now;
  if (same && outputs.every((output) => existsSync(join(root, output)))) return false;
  work();
  if (keepOldStamp) return true;
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, now);
  return true;
}

/** The machine has what `kind` (build, demo, test) needs, node_modules is as package-lock.json says, and dist/ is built. */
export function ready(kind) {
  run(join(root, 'scripts/setup'), [kind]);
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = join(root, 'node_modules/.dinghy-lock');
  // npm writes .package-lock.json last: a folder with it was installed whole, by us or by the user's own `npm install`.
  const whole = existsSync(join(root, 'node_modules/.package-lock.json'));
  if (!whole || (existsSync(stamp) && readFileSync(stamp, 'utf8') !== lock)) {
    console.log('installing dependencies (npm ci)');
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  }
  writeFileSync(stamp, lock);
  run(process.execPath, [join(root, 'scripts/build.mjs')]);
}
