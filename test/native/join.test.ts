import { closeSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';

import { pipe } from '../../lib/native/binding';
import type { ControlConnection, ControlEvent } from '../../lib/native/control';
import type { Reply } from '../../lib/native/protocol';
import { startTask } from '../../lib/native/task';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';
import { busyboxRoot, isAlive, NativeContainer } from './harness';
import { until } from '../support/until';

let shared: string;
let container: NativeContainer;

beforeAll(async () => {
  shared = temporaryFolder('native-root');
});
beforeEach(async () => {
  container = await NativeContainer.start(root(), { args: ['sleep', '1000'] });
});
afterEach(() => container.remove());
afterAll(() => removeFolder(shared));

let made: string | undefined;
function root(): string {
  made ??= busyboxRoot(shared);
  return made;
}

interface Joined {
  pid: number;
  control: ControlConnection;
  reply: Reply;
  exited: Promise<ControlEvent>;
  stdin?: Socket;
  output: Promise<{ stdout: string; stderr: string }>;
}

async function exec(args: string[], more: Record<string, unknown> = {}, terminal = false): Promise<Joined> {
  const [inRead, inWrite] = pipe();
  const [outRead, outWrite] = pipe();
  const [errRead, errWrite] = pipe();
  let tell = (_event: ControlEvent): void => undefined;
  const exited = new Promise<ControlEvent>((resolve) => (tell = resolve));
  const { pid, control } = startTask('join', { stdio: [inRead, outWrite, errWrite], onEvent: (event) => tell(event) });
  [inRead, outWrite, errWrite].forEach((fd) => closeSync(fd));
  const stdin = new Socket({ fd: inWrite, readable: false, writable: true });
  const output = Promise.all([collect(outRead), collect(errRead)]).then(([stdout, stderr]) => ({ stdout, stderr }));
  const reply = await control.request('exec', {
    socket: container.socket,
    process: {
      args,
      env: ['PATH=/bin'],
      cwd: '/',
      terminal,
      ...(terminal ? { consoleSize: { width: 90, height: 30 } } : {}),
      user: { uid: 0, gid: 0 },
    },
    ...more,
  });
  control.retain();
  return { pid, control, reply, exited, stdin, output };
}

async function collect(fd: number): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of new Socket({ fd, readable: true, writable: false })) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

describe('one more process', () => {
  test('runs beside the first: output, code', async () => {
    const joined = await exec(['sh', '-c', 'echo out; echo err >&2; ps | grep -c "[s]leep 1000"; exit 4']);
    expect(joined.reply).toMatchObject({ ok: true, pid: expect.any(Number) });
    joined.stdin?.end();
    expect(await joined.exited).toMatchObject({ event: 'exited', exitCode: 4, signal: 0, oomKilled: false });
    const { stdout, stderr } = await joined.output;
    expect(stdout).toMatch(/^out\n1\n$/);
    expect(stderr).toBe('err\n');
  });

  test('reads its stdin', async () => {
    const joined = await exec(['cat']);
    joined.stdin?.end('through and back');
    expect(await joined.exited).toMatchObject({ exitCode: 0 });
    expect((await joined.output).stdout).toBe('through and back');
  });

  test('runs as who it should', async () => {
    const joined = await exec(['id'], { user: 'user' });
    expect(joined.reply).toEqual({ ok: true, id: 1, pid: expect.any(Number) });
    joined.stdin?.end();
    await joined.exited;
    expect((await joined.output).stdout).toBe('uid=1000(user) gid=1000(user) groups=1000(user)\n');
  });

  test.each([
    ['no-such-command', 127],
    ['/bin/not-executable', 126],
  ])('%s cannot start', async (command, exitCode) => {
    const joined = await exec([command]);
    joined.stdin?.end();
    expect(joined.reply).toMatchObject({ ok: false, error: { exitCode } });
    await joined.output;
  });

  test('is killed, with its children, when its client goes', async () => {
    const joined = await exec(['sh', '-c', 'sleep 2000 & sleep 2000; true']);
    const pid = Number((joined.reply as { pid?: number }).pid);
    const children = () => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
    await until('it has its child', () => children().some((child) => child > 0));
    const all = [pid, ...children()];
    joined.control.close();
    await until('all of them are gone', () => !all.some(isAlive));
    await until('the mode has ended', () => !isAlive(joined.pid));
    expect(await container.request('state')).toMatchObject({ state: { status: 'running' } });
    joined.stdin?.destroy();
    await joined.output;
  });

  test('gets signals', async () => {
    const joined = await exec(['sh', '-c', 'trap "exit 9" USR1; echo ready; while :; do sleep 0.05; done']);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await joined.control.request('signal', { signal: 10 })).toMatchObject({ ok: true });
    expect(await joined.exited).toMatchObject({ exitCode: 9, signal: 0 });
    joined.stdin?.end();
    await joined.output;
  });

  test('has a terminal of the size asked for, which takes input and another size', async () => {
    const script = 'stty size; read line; echo "got $line"; stty size';
    const joined = await exec(['sh', '-c', script], {}, true);
    joined.stdin?.end();
    await joined.control.request('resize', { columns: 120, rows: 40 });
    await joined.control.writeStdin(Buffer.from('typed\n'));
    expect(await joined.exited).toMatchObject({ exitCode: 0 });
    const { stdout } = await joined.output;
    expect(stdout).toMatch(
      /^(30 90|40 120)\r\ntyped\r\ngot typed\r\n40 120\r\n$|^typed\r\n(30 90|40 120)\r\ngot typed\r\n40 120\r\n$/,
    );
  });

  test('loses no output to a slow reader of a terminal', async () => {
    const joined = await exec(['sh', '-c', 'seq 1 30000'], {}, true);
    joined.stdin?.end();
    await joined.exited;
    expect((await joined.output).stdout.split('\r\n')).toHaveLength(30_001);
  });

  test('ends with the container', async () => {
    const joined = await exec(['sleep', '2000']);
    await container.request('stop', { signal: 9 });
    expect(await joined.exited).toMatchObject({ exitCode: 137, signal: 9, oomKilled: false });
    joined.stdin?.end();
    await joined.output;
  });

  test('cannot join what has ended or is paused', async () => {
    await container.request('pause');
    const paused = await exec(['true']);
    expect(paused.reply).toMatchObject({ ok: false, error: { message: 'the container is paused' } });
    await container.request('unpause');
    await container.request('stop', { signal: 9 });
    const ended = await exec(['true']);
    expect(ended.reply).toMatchObject({ ok: false, error: { message: 'the container is not running' } });
    for (const joined of [paused, ended]) {
      joined.stdin?.end();
      await joined.output;
    }
  });
});
