/** One process of a container. */
export interface TopProcess {
  /** As this host sees it, as all pids here but the next. */
  pid: number;
  /** The pid inside the container. */
  containerPid: number;
  parentPid: number;
  /** The name this host has for its effective uid, or that uid. */
  user: string;
  uid: number;
  startedAt: Date;
  /** `pts/0`; undefined when it has none. */
  tty?: string;
  cpuMs: number;
  /** Of one CPU, averaged over its life. */
  cpuPercent: number;
  /** Resident. */
  memoryBytes: number;
  virtualBytes: number;
  /** One letter, as in proc_pid_stat(5): `R`, `S`, `D`, `Z`. */
  state: string;
  /** The name of its program, at most 15 bytes. */
  name: string;
  /** Its arguments, joined by blanks; `[name]` when it has none. */
  command: string;
}

interface ProcFiles {
  pid: number;
  stat: string;
  status: string;
  commandLine: string;
}

interface HostFacts {
  bootTimeMs: number;
  nowMs: number;
  users: ReadonlyMap<number, string>;
}

// USER_HZ, which is what the kernel tells user space in, is 100 on all architectures we build for.
const tickMs = 10;
const kibibyte = 1024;

/** proc_pid_stat(5), proc_pid_status(5): a name may hold anything, parentheses and line ends too. */
export function parseProcess({ pid, stat, status, commandLine }: ProcFiles, host: HostFacts): TopProcess {
  const open = stat.indexOf('(');
  const close = stat.lastIndexOf(')');
  const name = stat.slice(open + 1, close);
  const fields = stat.slice(close + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3] ?? 0); // the manual counts from 1; these begin at 3
  const line = (key: string): string[] => new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/) ?? [];
  const uid = Number(line('Uid')[1] ?? 0);
  const cpuMs = (field(14) + field(15)) * tickMs;
  const startedMs = host.bootTimeMs + field(22) * tickMs;
  const args = commandLine.replace(/\0+$/, '').replaceAll('\0', ' ');
  const tty = terminalName(field(7));
  return {
    pid,
    containerPid: Number(line('NSpid').at(-1) ?? pid),
    parentPid: field(4),
    user: host.users.get(uid) ?? String(uid),
    uid,
    startedAt: new Date(startedMs),
    ...(tty === undefined ? {} : { tty }),
    cpuMs,
    cpuPercent: (cpuMs / Math.max(tickMs, host.nowMs - startedMs)) * 100,
    memoryBytes: Number(line('VmRSS')[0] ?? 0) * kibibyte,
    virtualBytes: field(23),
    state: fields[0] ?? '?',
    name,
    command: args === '' ? `[${name}]` : args,
  };
}

// Device numbers as in makedev(3); of pseudo terminals 256 to a major number (Documentation/admin-guide/devices.txt).
function terminalName(device: number): string | undefined {
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  if (major >= 136 && major <= 143) {
    return `pts/${(major - 136) * 256 + minor}`;
  }
  if (major === 4) {
    return minor < 64 ? `tty${minor}` : `ttyS${minor - 64}`;
  }
  return device === 0 ? undefined : `${major}:${minor}`;
}
