import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { buildSync } from 'esbuild';

const repository = join(__dirname, '../..');

export interface StartedPull {
  child: ChildProcess;
  ended: Promise<{ code: number | null; output: string }>;
}

/** The program of pull-child.ts, built in `folder`, where the data folder of its pulls is too. */
export class PullProgram {
  readonly root: string;
  readonly #program: string;

  constructor(folder: string) {
    this.root = join(folder, 'root');
    this.#program = join(folder, 'program/pull-child.js');
    // A package of its own around the program: there the addon is looked for.
    mkdirSync(join(folder, 'program'));
    for (const name of ['addon', 'package.json']) {
      symlinkSync(join(repository, name), join(folder, name));
    }
    buildSync({
      entryPoints: [join(repository, 'test/support/pull-child.ts')],
      outfile: this.#program,
      bundle: true,
      platform: 'node',
      logLevel: 'error',
    });
  }

  /** How it is called, for who runs it otherwise. */
  command(references: readonly string[]): string[] {
    return [process.execPath, this.#program, this.root, ...references];
  }

  start(references: readonly string[]): StartedPull {
    return startProgram(this.command(references));
  }
}

export function startProgram([command = '', ...args]: readonly string[]): StartedPull {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, output }))) };
}
