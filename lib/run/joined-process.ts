import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { Readable, type Writable } from 'node:stream';

import { closeFd, pipe } from '../native/binding';
import type { ControlConnection, ControlEvent } from '../native/control';
import { startTask } from '../native/task';
import { signalName } from '../oci/signals';
import type { RuntimeSpec, SpecProcess } from '../oci/spec-types';
import { asyncDispose } from '../util/dispose';
import { type Attachment, noTerminal } from './container-process';
import type { SpawnSettings } from './exec-options';
import type { WaitResult } from './exec-result';
import type { ContainerPlaces } from './places';
import { checkSignalName, checkTerminalSize } from './settle-options';
import { checkReply } from './start-error';

/** One more process in a running container. It ends, with its children, when its control connection does. */
export class JoinedProcess implements Attachment {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly pid: number;
  readonly #control: ControlConnection;
  /** The same as `wait()`, without keeping Node alive. */
  readonly ended: Promise<WaitResult>;
  readonly #hasTerminal: boolean;
  readonly #lost: ProcessParts['lost'];
  #isEnded = false;

  private constructor(parts: ProcessParts, pid: number, hasTerminal: boolean) {
    this.stdin = parts.stdin;
    this.stdout = parts.stdout;
    this.stderr = parts.stderr;
    this.pid = pid;
    this.#hasTerminal = hasTerminal;
    this.#lost = parts.lost;
    this.#control = parts.control;
    this.ended = parts.ended;
    void this.ended.then(() => (this.#isEnded = true));
  }

  /**
   * The process runs. Its stdio are pipes, whose other ends are the streams here.
   *
   * @throws ERR_COMMAND_NOT_FOUND · ERR_COMMAND_NOT_EXECUTABLE · ERR_CONTAINER_NOT_RUNNING
   */
  static async start(places: ContainerPlaces, settings: SpawnSettings): Promise<JoinedProcess> {
    const spec = JSON.parse(readFileSync(places.config, 'utf8')) as RuntimeSpec;
    const parts = startJoin(settings.terminal !== undefined);
    try {
      const reply = await parts.control.request('exec', {
        socket: places.socket,
        process: makeExecProcess(spec.process, settings),
        ...userOf(spec, settings),
        groupAdd: spec.dinghy.groupAdd ?? [],
        defaultHome: true,
      });
      const { pid } = checkReply(`cannot run ${settings.argv[0]} in container ${spec.dinghy.name}`, reply);
      return new JoinedProcess(parts, Number(pid), settings.terminal !== undefined);
    } catch (error) {
      parts.control.close();
      for (const stream of [parts.stdin, parts.stdout, parts.stderr]) {
        stream.destroy();
      }
      throw error;
    }
  }

  /** The process and its children were sent SIGKILL. */
  abandon(): void {
    this.#control.close();
  }

  async resize(size: { columns: number; rows: number }): Promise<void> {
    const { columns, rows } = checkTerminalSize('size', size);
    if (!this.#hasTerminal) {
      throw noTerminal();
    }
    await this.#tell('cannot resize the terminal', 'resize', { columns, rows });
  }

  async kill(name = 'SIGTERM'): Promise<void> {
    const signal = checkSignalName('signal', name);
    await this.#tell('cannot signal the process', 'signal', { signal });
  }

  async detach(): Promise<void> {
    await this.#tell('cannot detach from the process', 'release');
    this.#lost.result = detachedResult;
    this.#control.close();
    for (const stream of [this.stdin, this.stdout, this.stderr]) {
      stream.destroy();
    }
  }

  /** Nothing, once it has ended. */
  async #tell(doing: string, op: string, fields: Record<string, unknown> = {}): Promise<void> {
    if (this.#isEnded) {
      return;
    }
    try {
      const reply = await this.#control.request(op, fields);
      if (!reply.ok && reply.error.errno !== esrch) {
        checkReply(doing, reply);
      }
    } catch (error) {
      // It ended while the request was on its way.
      if (!this.#isEnded && !this.#control.isClosed) {
        throw error;
      }
    }
  }

  async wait(): Promise<WaitResult> {
    const release = this.#control.retain();
    try {
      return await this.ended;
    } finally {
      release();
    }
  }

  async [asyncDispose](): Promise<void> {
    this.abandon();
    await this.wait();
    for (const stream of [this.stdin, this.stdout, this.stderr]) {
      stream.destroy();
    }
  }
}

const esrch = 3;

interface ProcessParts {
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  control: ControlConnection;
  ended: Promise<WaitResult>;
  /** What is known of its end when the connection is lost. */
  lost: { result: WaitResult };
}

function startJoin(terminal: boolean): ProcessParts {
  const pipes = openPipes(terminal);
  let exited = (_event: ControlEvent): void => undefined;
  let control: ControlConnection;
  try {
    const stdio = [pipes.stdin[0], pipes.stdout[1], pipes.stderr?.[1] ?? null] as const;
    control = startTask('join', { stdio, onEvent: (event) => exited(event) }).control;
  } catch (error) {
    for (const fd of [pipes.stdin[1], pipes.stdout[0], pipes.stderr?.[0]]) {
      closeIfOpen(fd);
    }
    throw error;
  } finally {
    for (const fd of [pipes.stdin[0], pipes.stdout[1], pipes.stderr?.[1]]) {
      closeIfOpen(fd);
    }
  }
  const lost = { result: killedResult };
  const ended = new Promise<WaitResult>((resolve) => {
    exited = (event) => {
      if (event.event === 'exited') {
        resolve(resultOf(event));
        control.close();
      }
    };
    void control.closed.then(() => resolve(lost.result));
  });
  const stdin = new Socket({ fd: pipes.stdin[1], readable: false, writable: true });
  // A process that ends without reading its input is no error of the one who wrote it.
  stdin.on('error', () => undefined);
  return {
    stdin,
    stdout: new Socket({ fd: pipes.stdout[0], readable: true, writable: false }),
    stderr: pipes.stderr ? new Socket({ fd: pipes.stderr[0], readable: true, writable: false }) : Readable.from([]),
    control,
    ended,
    lost,
  };
}

// Nobody told how it ended: we let go of it, and then it's killed.
const killedResult: WaitResult = { exitCode: 137, signal: 'SIGKILL', oomKilled: false };

const detachedResult: WaitResult = {
  exitCode: null,
  signal: null,
  oomKilled: false,
  error: 'detached: nobody saw it end',
};

function resultOf(event: ControlEvent): WaitResult {
  const signal = Number(event['signal'] ?? 0);
  return {
    exitCode: Number(event['exitCode']),
    signal: signal > 0 ? signalName(signal) : null,
    oomKilled: event['oomKilled'] === true,
  };
}

interface Pipes {
  stdin: [number, number];
  stdout: [number, number];
  stderr?: [number, number];
}

/** Under a terminal there is no stderr. */
function openPipes(terminal: boolean): Pipes {
  const opened: [number, number][] = [];
  try {
    for (let count = terminal ? 2 : 3; count > 0; count--) {
      opened.push(pipe());
    }
  } catch (error) {
    opened.flat().forEach(closeFd);
    throw error;
  }
  const [stdout, stdin, stderr] = opened;
  return { stdout: stdout!, stdin: stdin!, stderr };
}

function closeIfOpen(fd: number | undefined): void {
  if (fd !== undefined) {
    closeFd(fd);
  }
}

function makeExecProcess(first: SpecProcess, { argv, env, workdir, terminal }: SpawnSettings): SpecProcess {
  const variables = new Map(first.env.map((entry) => [entry.slice(0, entry.indexOf('=')), entry]));
  if (terminal && !variables.has('TERM')) {
    variables.set('TERM', 'TERM=xterm');
  }
  for (const [name, value] of Object.entries(env)) {
    variables.set(name, `${name}=${value}`);
  }
  const { consoleSize: _consoleSize, ...inherited } = first;
  return {
    ...inherited,
    terminal: terminal !== undefined,
    ...(terminal ? { consoleSize: { width: terminal.columns, height: terminal.rows } } : {}),
    args: argv,
    env: [...variables.values()],
    cwd: workdir ?? first.cwd,
  };
}

function userOf(spec: RuntimeSpec, { user }: SpawnSettings): { user?: string } {
  const name = user ?? spec.dinghy.user;
  return name === undefined ? {} : { user: name };
}
