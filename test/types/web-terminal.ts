// A terminal in the browser: one shell per connection in a container that all of them share.
import type { Duplex } from 'node:stream';
import { Runtime, type Attachment, type ContainerProcess, type TerminalSize } from 'dinghy';

const runtime = new Runtime();

interface Socket extends Duplex {
  on(event: 'resize', listener: (size: TerminalSize) => void): this;
  on(event: string, listener: (...values: never[]) => void): this;
}

export async function openTerminal(socket: Socket): Promise<number | null> {
  const workspace = await runtime.run('debian:12', {
    reuse: 'workspace',
    name: 'workspace',
    command: ['sleep', 'infinity'],
    init: true,
    detached: true,
    labels: { role: 'workspace' },
  });
  const shell: ContainerProcess = await workspace.spawn(['bash', '-l'], {
    tty: { columns: 80, rows: 24 },
    env: { TERM: 'xterm-256color' },
    workdir: '/root',
  });
  socket.pipe(shell.stdin);
  shell.stdout.pipe(socket);
  socket.on('resize', (size) => void shell.resize(size));
  socket.on('close', () => void shell.kill('SIGHUP'));
  const { exitCode } = await shell.wait();
  return exitCode;
}

export async function watch(name: string, output: NodeJS.WritableStream): Promise<void> {
  const container = await runtime.container(name);
  const attachment: Attachment = await container.attach({ stdin: false });
  attachment.stdout.pipe(output);
  attachment.stderr.pipe(output);
  setTimeout(() => void attachment.detach(), 60_000);
  await container.wait({ condition: 'not-running' });
}

export async function survey(): Promise<string[]> {
  const rows: string[] = [];
  for (const container of await runtime.containers({ all: true, filters: { label: 'role=workspace' } })) {
    const { status, exitCode, startedAt } = await container.inspect();
    rows.push([container.id.slice(0, 12), container.name, status, exitCode, startedAt?.toISOString()].join('\t'));
  }
  return rows;
}
