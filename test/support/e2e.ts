import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import type { RealRegistry, TestImage } from './real-registry';
import { startRegistryWith } from './real-registry';
import { removeFolder, temporaryFolder } from './temporary-folder';

export const repository = join(__dirname, '..', '..');
export const cliPath = join(repository, 'dist/cli/main.js');

/** How a program ended. */
export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** The command line behind a program that changes who asks, to its end. */
export function dinghyAs(argv: readonly [string, ...string[]], env: NodeJS.ProcessEnv, args: readonly string[]): Ended {
  const [program, ...before] = argv;
  const options = { env, encoding: 'utf8', timeout: 60_000, cwd: '/' } as const;
  const { status, stdout, stderr } = spawnSync(program, [...before, process.execPath, cliPath, ...args], options);
  return { status, stdout, stderr };
}

/** A registry with real images, and folders for a runtime that pulls from it; all of it is gone after `close()`. */
export class Bench {
  readonly folder = temporaryFolder('e2e');
  readonly registry: RealRegistry;

  private constructor(registry: RealRegistry) {
    this.registry = registry;
  }

  static async open(images: Partial<Record<TestImage, string>>): Promise<Bench> {
    return new Bench(await startRegistryWith(images));
  }

  get root(): string {
    return join(this.folder, 'root');
  }

  get state(): string {
    return join(this.folder, 'state');
  }

  /** For `new Runtime()`. */
  get options(): { root: string; state: string; registries: Record<string, { mirrors: string[] }> } {
    return { root: this.root, state: this.state, registries: { 'docker.io': { mirrors: [this.registry.host] } } };
  }

  /** For a process that uses dinghy. */
  get env(): NodeJS.ProcessEnv {
    const { PATH, HOME } = process.env;
    return { PATH, HOME, DINGHY_ROOT: this.root, DINGHY_STATE: this.state, DINGHY_MIRROR: this.registry.host };
  }

  /** For another user's processes that use dinghy: a home is made, with data and run-time folder in it. */
  homeOf(uid: number): NodeJS.ProcessEnv {
    const home = join(this.folder, 'home');
    mkdirSync(home);
    chownSync(home, uid, uid);
    chmodSync(this.folder, 0o755);
    return {
      PATH: process.env['PATH'],
      HOME: home,
      DINGHY_ROOT: join(home, 'root'),
      DINGHY_STATE: join(home, 'state'),
      DINGHY_MIRROR: this.registry.host,
    };
  }

  /** The command line, to its end. */
  cli(args: readonly string[], input = '', env = this.env): Ended {
    const options = { env, input, encoding: 'utf8', timeout: 60_000 } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, [cliPath, ...args], options);
    return { status, stdout, stderr };
  }

  /** Starts a Node program (its text) in a process of its own, with these folders in its environment. */
  spawnNode(args: readonly string[]): ReturnType<typeof spawn> {
    return spawn(process.execPath, [...args], { env: this.env, stdio: ['ignore', 'pipe', 'pipe'], cwd: repository });
  }

  async close(): Promise<void> {
    await this.registry.stop();
    removeFolder(this.folder);
  }
}

/** Resolves when `condition` gives something; rejects after `timeoutMs`. */
export async function eventually<T>(condition: () => T | Promise<T>, timeoutMs = 5000): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${condition.toString().slice(0, 200)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Runs a program to its end; fails the test with what it wrote when it fails. */
export function client(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const options = { encoding: 'utf8', timeout: 30_000, env: { ...process.env, ...env } } as const;
  const { status, stdout, stderr, error } = spawnSync(command, args, options);
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `exit ${status}`}\n${stdout}${stderr}`);
  return stdout;
}
