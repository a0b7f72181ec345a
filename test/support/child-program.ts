import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { buildSync } from 'esbuild';

const repository = join(__dirname, '../..');

export interface StartedProgram {
  child: ChildProcess;
  ended: Promise<{ code: number | null; output: string }>;
}

/** A program of this folder that works on a store, built in `folder`, where its data folder is too. */
export class ChildProgram {
  readonly root: string;
  readonly #program: string;

  constructor(
    folder: string,
    source:
      | 'pull-child'
      | 'store-child'
      | 'squash-child'
      | 'journal-child'
      | 'runtime-child'
      | 'storm-child'
      | 'name-server-child',
  ) {
    this.root = join(folder, 'root');
    this.#program = join(folder, 'program', `${source}.js`);
    // A package of its own around the program: there the addon is looked for.
    mkdirSync(join(folder, 'program'), { recursive: true });
    for (const name of ['addon', 'package.json']) {
      symlinkSync(join(repository, name), join(folder, name));
    }
    buildSync({
      entryPoints: [join(repository, 'test/support', `${source}.ts`)],
      outfile: this.#program,
      bundle: true,
      platform: 'node',
      logLevel: 'error',
    });
  }

  /** How it is called, for who runs it otherwise. */
  command(args: readonly string[]): string[] {
    return [process.execPath, this.#program, this.root, ...args];
  }

  start(args: readonly string[]): StartedProgram {
    return startProgram(this.command(args));
  }
}

export function startProgram([command = '', ...args]: readonly string[]): StartedProgram {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, output }))) };
}
