import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Docker {
  runTrue(): Promise<void>;
  stop(): Promise<void>;
}

/** A Docker engine of our own, with nothing of the host's: own socket, own folders, no network. Rejects where there is none. */
export async function startDocker(source: string): Promise<Docker> {
  const program = ['/usr/sbin/dockerd', '/usr/bin/dockerd', '/usr/local/bin/dockerd'].find((path) => existsSync(path));
  if (program === undefined) throw new Error('dockerd is not installed (docker.io)');
  const folder = mkdtempSync(join(tmpdir(), 'bench-docker-'));
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
  const docker = (...args: string[]): ReturnType<typeof spawnSync> => spawnSync('docker', ['-H', socket, ...args]);
  try {
    const deadline = Date.now() + 30_000;
    while (docker('version').status !== 0) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`dockerd did not start: ${log.slice(-400)}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const archive = join(folder, 'image.tar');
    const copied = spawnSync('skopeo', [
      'copy',
      '--insecure-policy',
      '--quiet',
      `oci:${source}`,
      `docker-archive:${archive}:bench:1`,
    ]);
    if (copied.status !== 0 || docker('load', '-i', archive).status !== 0)
      throw new Error('the image could not be loaded');
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    async runTrue() {
      const run = spawn('docker', ['-H', socket, 'run', '--rm', '--network', 'none', 'bench:1', '/bin/true'], {
        stdio: 'ignore',
      });
      const [code] = (await once(run, 'close')) as [number];
      if (code !== 0) throw new Error(`docker run ended with ${code}`);
    },
    stop,
  };
}
