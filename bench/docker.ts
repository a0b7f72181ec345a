import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export interface Engine {
  /** Runs the client to its end. Rejects with what it said when that was not good. */
  readonly run: (...args: string[]) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface Docker extends Engine {
  /** For `DOCKER_HOST`. */
  readonly host: string;
  /** The image of an OCI layout, `folder:tag`, is known by `name`. */
  load(source: string, name: string): Promise<void>;
}

/**
 * A Docker engine of our own, with nothing of the host's: own socket, own data below `base`, no network. Rejects where there is
 * none.
 */
export async function startDocker(base: string): Promise<Docker> {
  const program = ['/usr/sbin/dockerd', '/usr/bin/dockerd', '/usr/local/bin/dockerd'].find((path) => existsSync(path));
  if (program === undefined) throw new Error('dockerd is not installed (docker.io)');
  const folder = mkdtempSync(join(base, 'bench-docker-'));
  const socket = `unix://${folder}/socket`;
  const folders = ['--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`, '--pidfile', `${folder}/pid`];
  const network = ['--bridge', 'none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'];
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', program, '-H', socket, ...folders, ...network], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk) => (log = (log + String(chunk)).slice(-4000)));
  const ended = once(child, 'close');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const run = (...args: string[]): Promise<void> => runToEnd('docker', ['-H', socket, ...args]);
  try {
    const deadline = Date.now() + 30_000;
    while (spawnSync('docker', ['-H', socket, 'version']).status !== 0) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`dockerd did not start: ${log.slice(-400)}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    host: socket,
    run,
    async load(source, name) {
      const archive = join(folder, 'image.tar');
      await runToEnd('skopeo', [
        'copy',
        '--insecure-policy',
        '-q',
        `oci:${source}`,
        `docker-archive:${archive}:${name}`,
      ]);
      await run('load', '-q', '-i', archive);
      rmSync(archive);
    },
    stop,
  };
}

/** A program ran to a good end. Rejects with the last of what it said when it was not one. */
export async function runToEnd(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => (said = (said + String(chunk)).slice(-2000)));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args[0]} ended with ${code}: ${said.trim().split('\n').at(-1) ?? ''}`);
}
