// Drives the supervisor binary as lib/run does, with nothing of lib/ above native/: a busybox root, one configuration, one process.
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { flock } from '../../lib/native/binding';
import type { ControlConnection } from '../../lib/native/control';
import { type ControlEvent } from '../../lib/native/control';
import type { Reply } from '../../lib/native/protocol';
import { startTask } from '../../lib/native/task';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

export interface ContainerOptions {
  args: string[];
  /** Called when its folder is there and nothing else. */
  prepare?: (folder: string) => void;
  env?: string[];
  detached?: boolean;
  autoRemove?: boolean;
  init?: boolean;
  restart?: { policy: string; maxRetries?: number };
  health?: { args: string[]; [name: string]: unknown };
  stdin?: boolean;
  terminal?: boolean;
  hold?: boolean;
  log?: { maxSize?: number; maxFiles?: number };
  stop?: { signal: number; timeoutMs: number };
  resources?: Record<string, unknown>;
  release?: string[];
  /** Share the host's pid namespace. */
  hostPid?: boolean;
}

const applets = [
  'sh',
  'cat',
  'echo',
  'head',
  'sleep',
  'true',
  'false',
  'kill',
  'ls',
  'dd',
  'seq',
  'tr',
  'stty',
  'id',
  'grep',
  'mkdir',
  'ps',
  'wc',
  'yes',
];

/** A root file system with busybox, shared by the tests of one file. */
export function busyboxRoot(folder: string): string {
  const root = join(folder, 'root');
  for (const name of ['bin', 'proc', 'dev', 'sys', 'etc', 'tmp']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  applets.forEach((name) => symlinkSync('busybox', join(root, 'bin', name)));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nuser:x:1000:\n');
  writeFileSync(join(root, 'bin/not-executable'), '#!/bin/sh\n', { mode: 0o644 });
  return root;
}

let counter = 0;

export class NativeContainer {
  readonly events: ControlEvent[] = [];
  #wakers = new Set<() => void>();

  private constructor(
    readonly folder: string,
    readonly id: string,
    readonly pid: number,
    readonly control: ControlConnection,
  ) {}

  get socket(): string {
    return join(this.folder, 'run', 'ctl');
  }

  get logPath(): string {
    return join(this.folder, 'log', 'container.log');
  }

  get cgroupsPath(): string {
    return `/dinghy-native-test/${this.id}`;
  }

  /** The supervisor has the configuration and serves its socket; nothing runs yet. */
  static async open(lower: string, options: ContainerOptions): Promise<NativeContainer> {
    const folder = temporaryFolder('native');
    const id = `${process.pid}`.padStart(8, '0') + `${counter++}`.padStart(56, '0');
    // The upper's own mode is the mode of the container's "/".
    for (const name of ['log', 'upper', 'work', 'run']) {
      mkdirSync(join(folder, name), { mode: name === 'upper' ? 0o755 : 0o700 });
    }
    options.prepare?.(folder);
    const container = await NativeContainer.#launch(folder, id, lower, options);
    const reply = await container.request('open', { bundle: folder, socket: container.socket });
    if (!reply.ok) {
      throw new Error(`open: ${JSON.stringify(reply.error)}`);
    }
    await container.request('subscribe', {});
    return container;
  }

  static async start(lower: string, options: ContainerOptions): Promise<NativeContainer> {
    const container = await NativeContainer.open(lower, options);
    const reply = await container.request('start');
    if (!reply.ok) {
      await container.request('remove', { force: true });
      throw Object.assign(new Error(reply.error.message), reply.error);
    }
    return container;
  }

  static async #launch(folder: string, id: string, lower: string, options: ContainerOptions): Promise<NativeContainer> {
    writeFileSync(join(folder, 'config.json'), JSON.stringify(makeConfig(folder, id, lower, options)));
    const lock = openSync(join(folder, 'lock'), 'w');
    flock(lock, 'exclusive');
    let receive = (_event: ControlEvent): void => undefined;
    const { pid, control } = startTask('supervise', {
      extraFds: [lock],
      newPidNamespace: !options.hostPid,
      hold: options.hold ?? !options.detached,
      onEvent: (event) => receive(event),
    });
    closeSync(lock);
    const container = new NativeContainer(folder, id, pid, control);
    receive = (event) => container.#receive(event);
    void control.closed.then(() => container.#wake());
    return container;
  }

  request(op: string, fields: Record<string, unknown> = {}): Promise<Reply> {
    return this.control.request(op, fields);
  }

  /** The first `state` event with this status, past or to come. */
  async reached(status: string, timeoutMs = 20_000): Promise<ControlEvent> {
    const release = this.control.retain();
    const deadlineMs = Date.now() + timeoutMs;
    try {
      for (;;) {
        const found = this.events.find((event) => event.event === 'state' && event['status'] === status);
        if (found) {
          return found;
        }
        if (this.control.isClosed || Date.now() > deadlineMs) {
          throw new Error(`the container never became ${status}: ${JSON.stringify(this.events)}`);
        }
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 100);
          this.#wakers.add(() => {
            clearTimeout(timer);
            resolve();
          });
        });
      }
    } finally {
      release();
    }
  }

  /** The log's content of one stream, put together again. */
  output(stream: 'stdout' | 'stderr' = 'stdout'): Buffer {
    return contentOf(readFileSync(this.logPath), stream);
  }

  /** Everything is gone, the supervisor too. */
  async remove(): Promise<void> {
    if (!this.control.isClosed) {
      await this.request('remove', { force: true });
      await this.control.closed;
    }
    removeFolder(this.folder);
  }

  #receive(event: ControlEvent): void {
    this.events.push(event);
    this.#wake();
  }

  #wake(): void {
    const wakers = [...this.#wakers];
    this.#wakers.clear();
    wakers.forEach((wake) => wake());
  }
}

export const recordHeader =
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) ([FP])((?::cont|:run=\d+|:lost=\d+|:file=\d+)*) /;

/** The exact bytes that the records of one stream stand for. */
export function contentOf(log: Buffer, stream: 'stdout' | 'stderr'): Buffer {
  const parts: Buffer[] = [];
  const newline = Buffer.from('\n');
  for (let start = 0; start < log.length;) {
    const end = log.indexOf(10, start);
    const record = log.subarray(start, end);
    const header = recordHeader.exec(record.subarray(0, 128).toString('latin1'));
    if (!header) {
      throw new Error(`not a record: ${record.subarray(0, 60).toString()}`);
    }
    if (header[1] === stream) {
      parts.push(record.subarray(header[0].length));
      if (header[2] === 'F') {
        parts.push(newline);
      }
    }
    start = end + 1;
  }
  return Buffer.concat(parts);
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const dockerCapabilities = [
  'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FSETID', 'CAP_FOWNER', 'CAP_MKNOD', 'CAP_NET_RAW', 'CAP_SETGID', 'CAP_SETUID',
  'CAP_SETFCAP', 'CAP_SETPCAP', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_CHROOT', 'CAP_KILL', 'CAP_AUDIT_WRITE',
]; // prettier-ignore

function makeConfig(folder: string, id: string, lower: string, options: ContainerOptions): object {
  const namespaces = ['mount', 'network', 'ipc', 'uts', 'cgroup', ...(options.hostPid ? [] : ['pid'])];
  return {
    ociVersion: '1.2.0',
    process: {
      args: options.args,
      env: ['PATH=/bin', ...(options.env ?? [])],
      cwd: '/',
      terminal: options.terminal ?? false,
      ...(options.terminal ? { consoleSize: { width: 80, height: 24 } } : {}),
      user: { uid: 0, gid: 0 },
      capabilities: { bounding: dockerCapabilities, effective: dockerCapabilities, permitted: dockerCapabilities },
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 4096 }],
    },
    root: { path: join(folder, 'merged') },
    hostname: 'native',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
    ],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      cgroupsPath: `/dinghy-native-test/${id}`,
      resources: options.resources ?? {},
    },
    dinghy: {
      version: 1,
      id,
      name: 'native',
      detached: options.detached ?? false,
      autoRemove: options.autoRemove ?? false,
      ...(options.restart ? { restart: options.restart } : {}),
      ...(options.health ? { health: options.health } : {}),
      rootfs: {
        type: 'overlay',
        lower: [lower],
        upper: join(folder, 'upper'),
        work: join(folder, 'work'),
        volatile: true,
        userxattr: false,
      },
      defaultHome: true,
      log: { path: join(folder, 'log', 'container.log'), ...options.log },
      stdin: options.stdin ?? false,
      copyUp: [],
      stop: options.stop ?? { signal: 15, timeoutMs: 10_000 },
      init: options.init ?? false,
      network: { mode: 'none' },
      lock: join(folder, 'lock'),
      release: options.release ?? [],
      trees: [folder],
    },
  };
}
