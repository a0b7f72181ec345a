import { lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { release, tmpdir, userInfo } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

import { DinghyError } from '../errors';
import { runTask } from '../native/task';
import type { IdRange } from '../oci/spec-types';
import { invalidOption } from '../util/checks';
import type { RunContext } from './context';
import type { RootfsProvider } from './places';
import { checkReply } from './start-error';

export interface Folders {
  root: string;
  state: string;
}

/** Where data and run-time files lie: as given, as DINGHY_ROOT and DINGHY_STATE say, or where such files of this user belong. */
export function chooseFolders(given: { root?: unknown; state?: unknown }, env = process.env): Folders {
  const isRoot = process.geteuid?.() === 0;
  const data = isRoot ? '/var/lib' : (env['XDG_DATA_HOME'] ?? join(env['HOME'] ?? tmpdir(), '.local', 'share'));
  // Without a session there is no XDG_RUNTIME_DIR: a folder that only this user can enter does as well.
  const runtime = isRoot ? '/run' : env['XDG_RUNTIME_DIR'];
  return {
    root: folder('root', given.root) ?? folder('DINGHY_ROOT', env['DINGHY_ROOT'] || undefined) ?? join(data, 'dinghy'),
    state:
      folder('state', given.state) ??
      folder('DINGHY_STATE', env['DINGHY_STATE'] || undefined) ??
      (runtime ? join(runtime, 'dinghy') : join(tmpdir(), `dinghy-${process.geteuid?.() ?? 0}`)),
  };
}

// A control socket's path has room for 107 bytes: the folder, a slash, 12 digits, and /ctl.
const maxStateLength = 107 - '/0123456789ab/ctl'.length;

function folder(option: string, value: unknown): string | undefined {
  if (value === undefined) {
    return undefined;
  }
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw invalidOption(option, value, 'must be a path');
  }
  return isAbsolute(value) ? value : resolve(value);
}

/** The run-time folder is there, and nobody else's. */
export function ensureState(state: string): void {
  if (Buffer.byteLength(state) > maxStateLength) {
    throw invalidOption('state', state, `must be a path of at most ${maxStateLength} bytes, for the sockets in it`);
  }
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const stat = lstatSync(state);
  if (!stat.isDirectory() || (stat.mode & 0o077) !== 0 || stat.uid !== process.geteuid?.()) {
    throw new DinghyError({
      code: 'ERR_STORE',
      message: `the run-time folder ${state} must belong to this user and be closed to others: chown it and chmod it to 0700`,
    });
  }
}

interface Fact {
  usable: boolean;
  reason?: string;
}

/** What the probe mode answers. */
export interface HostFacts {
  kernel: string;
  overlay: Fact;
  overlayUpperInState: Fact;
  overlayUserxattr: Fact;
  userNamespaces: Fact;
  nfTables: Fact;
  cgroup: { mode: 'v1' | 'v2' | 'hybrid' | 'none'; controllers: string[]; writable: boolean };
}

export async function probeHost({ root, state }: Folders): Promise<HostFacts> {
  const reply = checkReply('cannot look at this host', await runTask('probe', 'probe', { root, state }));
  return reply as unknown as HostFacts;
}

/** What keeps containers from running here, each with its cure. */
export function hostReasons(facts: HostFacts, { root }: Folders, rootless: boolean): string[] {
  const reasons: string[] = [];
  if (rootless && !facts.userNamespaces.usable) {
    reasons.push(
      `user namespaces are refused (${facts.userNamespaces.reason ?? 'no reason given'}): run as root, or set ` +
        'kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0 and user.max_user_namespaces',
    );
  } else if (providerOf(facts, rootless) === undefined) {
    const { reason = 'no reason given' } = rootless ? facts.overlayUserxattr : facts.overlay;
    reasons.push(`overlay cannot be mounted over ${root} (${reason}): use a data folder on ext4, xfs, btrfs or tmpfs`);
  }
  return reasons;
}

/** How root file systems can be made; undefined where they can't. */
export function providerOf(facts: HostFacts, rootless: boolean): RootfsProvider | undefined {
  if (rootless) {
    return facts.overlayUserxattr.usable ? 'overlay' : undefined;
  }
  // A folder that is itself on overlay, as in a CI container, can be no upper: then the upper lies on the run-time tmpfs.
  return facts.overlay.usable ? 'overlay' : facts.overlayUpperInState.usable ? 'overlay-tmpfs' : undefined;
}

/**
 * The provider for these folders. Looked at once per boot: the answer is kept on the run-time tmpfs.
 *
 * @throws ERR_HOST_UNSUPPORTED
 */
export async function chooseProvider(folders: Folders, rootless: boolean): Promise<RootfsProvider> {
  const cache = join(folders.state, 'provider.json');
  const key = [folders.root, release(), rootless].join(' ');
  const known = readCache(cache);
  if (known?.key === key) {
    return known.provider;
  }
  const facts = await probeHost(folders);
  const provider = providerOf(facts, rootless);
  const reasons = hostReasons(facts, folders, rootless);
  if (!provider || reasons.length > 0) {
    throw new DinghyError({
      code: 'ERR_HOST_UNSUPPORTED',
      message: `this host cannot run containers: ${reasons.join('; ')}`,
      exitCode: 125,
      details: { reasons },
    });
  }
  writeFileSync(`${cache}.${process.pid}`, JSON.stringify({ key, provider }), { mode: 0o600 });
  renameSync(`${cache}.${process.pid}`, cache);
  return provider;
}

function readCache(path: string): { key: string; provider: RootfsProvider } | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { key: string; provider: RootfsProvider };
  } catch {
    return undefined;
  }
}

/** The ids containers are mapped onto when this process isn't root: this user's, and its subordinate range where it has one. */
export function rootlessIds(): RunContext['rootless'] {
  const uid = process.geteuid?.() ?? 0;
  if (uid === 0) {
    return undefined;
  }
  const gid = process.getegid?.() ?? uid;
  const name = userName() ?? String(uid);
  const subuid = readRange('/etc/subuid', name, uid);
  const subgid = readRange('/etc/subgid', name, uid);
  return { uid, gid, ...(subuid && subgid && hasMapPrograms() ? { subuid, subgid } : {}) };
}

// An id may stand in no passwd at all, as in many a CI container; then userInfo() throws.
function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

// newuidmap(1) and newgidmap(1) are what may write such maps.
function hasMapPrograms(): boolean {
  return ['newuidmap', 'newgidmap'].every(
    (name) => lstatSync(join('/usr/bin', name), { throwIfNoEntry: false }) !== undefined,
  );
}

function readRange(path: string, name: string | undefined, uid: number): IdRange | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  for (const line of text.split('\n')) {
    const [owner, start, count] = line.split(':');
    if ((owner === name || owner === String(uid)) && Number(start) > 0 && Number(count) > 0) {
      return { start: Number(start), count: Number(count) };
    }
  }
  return undefined;
}
