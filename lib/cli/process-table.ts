import type { TopProcess } from '../index';
import { UsageError } from './context';

/** What a cell may need besides its process. */
export interface ProcessHost {
  now: Date;
  memoryBytes: number;
}

export interface ProcessColumn {
  heading: string;
  cell: (process: TopProcess, host: ProcessHost) => string;
}

const format: Readonly<Record<string, ProcessColumn>> = {
  user: { heading: 'USER', cell: ({ user, uid }) => (user.length > 8 ? String(uid) : user) },
  uid: { heading: 'UID', cell: ({ uid }) => String(uid) },
  pid: { heading: 'PID', cell: ({ pid }) => String(pid) },
  ppid: { heading: 'PPID', cell: ({ parentPid }) => String(parentPid) },
  c: { heading: 'C', cell: ({ cpuPercent }) => String(Math.min(99, Math.floor(cpuPercent))) },
  pcpu: { heading: '%CPU', cell: ({ cpuPercent }) => cpuPercent.toFixed(1) },
  pmem: {
    heading: '%MEM',
    cell: ({ memoryBytes }, host) => ((memoryBytes / Math.max(1, host.memoryBytes)) * 100).toFixed(1),
  },
  vsz: { heading: 'VSZ', cell: ({ virtualBytes }) => String(Math.floor(virtualBytes / 1024)) },
  rss: { heading: 'RSS', cell: ({ memoryBytes }) => String(Math.floor(memoryBytes / 1024)) },
  tty: { heading: 'TTY', cell: ({ tty }) => tty ?? '?' },
  stat: { heading: 'STAT', cell: ({ state }) => state },
  s: { heading: 'S', cell: ({ state }) => state },
  stime: { heading: 'STIME', cell: ({ startedAt }, { now }) => startText(startedAt, now) },
  start: { heading: 'START', cell: ({ startedAt }, { now }) => startText(startedAt, now) },
  etime: {
    heading: 'ELAPSED',
    cell: ({ startedAt }, { now }) => spanText(now.getTime() - startedAt.getTime(), 'short'),
  },
  time: { heading: 'TIME', cell: ({ cpuMs }) => spanText(cpuMs, 'long') },
  bsdtime: { heading: 'TIME', cell: ({ cpuMs }) => minutesText(cpuMs) },
  comm: { heading: 'COMMAND', cell: ({ name }) => plain(name) },
  args: { heading: 'COMMAND', cell: ({ command }) => plain(command) },
  cmd: { heading: 'CMD', cell: ({ command }) => plain(command) },
};

const otherNames: Readonly<Record<string, string>> = {
  euser: 'user',
  euid: 'uid',
  '%cpu': 'pcpu',
  '%mem': 'pmem',
  vsize: 'vsz',
  rssize: 'rss',
  tt: 'tty',
  tname: 'tty',
  state: 's',
  start_time: 'start',
  cputime: 'time',
  ucmd: 'comm',
  command: 'args',
};

const full = [{ ...format['user']!, heading: 'UID' }, ...pick('pid ppid c stime tty time cmd')];
const userOriented = pick('user pid pcpu pmem vsz rss tty stat start bsdtime args');

/**
 * The columns for options of ps(1): what Docker asks by default (`-ef`), `aux`, or a list of one's own (`-o pid,args`). Which processes
 * are meant is settled: the container's.
 * @throws UsageError
 */
export function chooseColumns(options: readonly string[]): ProcessColumn[] {
  const chosen: ProcessColumn[] = [];
  let whole: ProcessColumn[] | undefined;
  for (let at = 0; at < options.length; at++) {
    const option = options[at]!;
    const [, letters, list] = /^-?([a-zA-Z]*?)(?:o(.*))?$/s.exec(option) ?? [];
    const dashed = option.startsWith('-');
    if (letters === undefined || !/^[aexf]*$|^[aexu]*$/.test(dashed ? letters.toLowerCase() : letters)) {
      throw notUnderstood(option);
    }
    if (list !== undefined) {
      chosen.push(...parseList(list === '' ? (options[++at] ?? '') : list));
    }
    whole = letters.includes('u') ? userOriented : (whole ?? full);
  }
  return chosen.length > 0 ? chosen : (whole ?? full);
}

/** Docker's layout: columns at least twenty wide, three blanks between them. */
export function layoutProcesses(
  columns: readonly ProcessColumn[],
  processes: readonly TopProcess[],
  host: ProcessHost,
): string {
  const lines = [
    columns.map(({ heading }) => heading),
    ...processes.map((process) => columns.map(({ cell }) => cell(process, host))),
  ];
  const widths = columns.map((_column, index) => Math.max(20, ...lines.map((line) => line[index]!.length + 3)));
  const last = columns.length - 1;
  return lines
    .map((line) => line.map((cell, index) => (index === last ? cell : cell.padEnd(widths[index]!))).join(''))
    .map((line) => `${line}\n`)
    .join('');
}

function pick(names: string): ProcessColumn[] {
  return names.split(' ').map((name) => format[name]!);
}

/** `pid,args`; `pid=Process` gives a heading. */
function parseList(list: string): ProcessColumn[] {
  return list.split(',').map((item) => {
    const [name = '', heading] = item.trim().split('=', 2);
    const known = otherNames[name.toLowerCase()] ?? name.toLowerCase();
    if (!Object.hasOwn(format, known)) {
      throw notUnderstood(`-o ${item}`);
    }
    const column = format[known]!;
    return heading === undefined || heading === '' ? column : { ...column, heading };
  });
}

function notUnderstood(option: string): UsageError {
  return new UsageError(
    `top does not understand ${JSON.stringify(option)}: it takes -ef, aux, and -o with ${Object.keys(format).join(',')}`,
  );
}

// ps writes the hour of today, the day of this year, else the year.
function startText(time: Date, now: Date): string {
  if (time.getFullYear() !== now.getFullYear()) {
    return String(time.getFullYear());
  }
  const day = `${time.toLocaleString('en-US', { month: 'short' })}${two(time.getDate())}`;
  return time.toDateString() === now.toDateString() ? `${two(time.getHours())}:${two(time.getMinutes())}` : day;
}

/** `01:02:03`, `2-01:02:03`; short: `02:03` under an hour. */
function spanText(milliseconds: number, form: 'long' | 'short'): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor(seconds / 3600) % 24;
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  if (days > 0) return `${days}-${two(hours)}:${rest}`;
  return form === 'short' && hours === 0 ? rest : `${two(hours)}:${rest}`;
}

function minutesText(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

// A process chooses its own title: it must not speak to the reader's terminal.
function plain(text: string): string {
  return text.replace(/[\0-\x1f\x7f-\x9f]/g, '?');
}
