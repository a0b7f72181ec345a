import { spawnSync } from 'node:child_process';
import { basename, dirname, join } from 'node:path';

import { startDocker } from '../../bench/docker';
import { removeFolder, temporaryFolder } from './temporary-folder';

export type ArchiveKind = 'docker-archive' | 'oci-archive' | 'oci';

/** Another program that keeps images, with a store of its own that goes with `stop()`. */
export interface OtherEngine {
  /** The image of an archive is there under `name`. */
  load(path: string, kind: ArchiveKind, name: string): void;
  /** An archive stands at `path` with the image of this name. */
  save(path: string, kind: ArchiveKind, name: string): void;
  /** Builds a folder with a Dockerfile, without running any of it. */
  build(folder: string, name: string): void;
  stop(): Promise<void>;
}

export type OtherEngineName = 'docker' | 'podman' | 'buildah';

/** What each reads and writes. Docker knows OCI archives from version 25 on; Debian has an older one. */
export const archiveKinds: Record<OtherEngineName, readonly ArchiveKind[]> = {
  docker: ['docker-archive'],
  podman: ['docker-archive', 'oci-archive', 'oci'],
  buildah: ['docker-archive', 'oci-archive', 'oci'],
};

export const engineStarters: Record<OtherEngineName, () => Promise<OtherEngine>> = {
  async docker() {
    const folder = temporaryFolder('docker');
    const engine = await startDocker(folder).catch((error: unknown) => {
      removeFolder(folder);
      throw error;
    });
    const env = { DOCKER_HOST: engine.host, DOCKER_BUILDKIT: '0', HOME: folder };
    return {
      load: (path) => run({ env }, 'docker', 'load', '-q', '-i', path),
      save: (path, _kind, name) => run({ env }, 'docker', 'save', '-o', path, name),
      build: (context, name) => run({ env }, 'docker', 'build', '-q', '--network', 'none', '-t', name, context),
      async stop() {
        await engine.stop();
        removeFolder(folder);
      },
    };
  },
  async podman() {
    const { env, places, stop } = storage('podman');
    const formats = { 'docker-archive': 'docker-archive', 'oci-archive': 'oci-archive', oci: 'oci-dir' };
    return {
      load(path, kind, name) {
        // Its `load` takes a folder too, but names the image by that.
        const id = output(beside(env, path), 'podman', ...places, 'pull', '-q', `${kind}:${basename(path)}`).trim();
        run({ env }, 'podman', ...places, 'tag', id, name);
      },
      save: (path, kind, name) =>
        run({ env }, 'podman', ...places, 'save', '-q', '--format', formats[kind], '-o', path, name),
      build: (context, name) =>
        run({ env }, 'podman', ...places, 'build', '-q', '--format', 'docker', '-t', name, context),
      stop,
    };
  },
  async buildah() {
    const { env, places, stop } = storage('buildah');
    return {
      load(path, kind, name) {
        const id = output(beside(env, path), 'buildah', ...places, 'pull', '-q', `${kind}:${basename(path)}`).trim();
        run({ env }, 'buildah', ...places, 'tag', id, name);
      },
      save: (path, kind, name) => run({ env }, 'buildah', ...places, 'push', '-q', name, `${kind}:${path}:${name}`),
      build: (context, name) => run({ env }, 'buildah', ...places, 'bud', '-q', '-t', name, context),
      stop,
    };
  },
};

// Plain copies (vfs) leave no mount of the store's behind, as its overlay driver does.
function storage(name: string): { env: NodeJS.ProcessEnv; places: readonly string[]; stop: () => Promise<void> } {
  const folder = temporaryFolder(name);
  const env = { HOME: folder, XDG_RUNTIME_DIR: folder, TMPDIR: folder };
  const places = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  return { env, places, stop: async () => removeFolder(folder) };
}

interface Surroundings {
  env: NodeJS.ProcessEnv;
  cwd?: string;
}

// Both take a folder's path for a name in a registry first, and refuse one that can't be: that with a capital letter.
function beside(env: NodeJS.ProcessEnv, path: string): Surroundings {
  return { env, cwd: dirname(path) };
}

function run(at: Surroundings, program: string, ...args: string[]): void {
  output(at, program, ...args);
}

function output({ env, cwd }: Surroundings, program: string, ...args: string[]): string {
  const options = { encoding: 'utf8', timeout: 60_000, env: { PATH: process.env['PATH'], ...env }, cwd } as const;
  const { status, stdout, stderr, error } = spawnSync(program, args, options);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? `exit ${status}`}\n${stderr}`);
  return stdout;
}
