import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { protocolVersion } from '../../lib/native/protocol';
import { ChildProgram, startProgram, type StartedProgram } from './child-program';

const build = join(__dirname, '../../addon/build');

/** runtime-child.ts as a later version of this library has it: it and its binary speak the next version of the control protocol. */
export class NextVersion {
  readonly #program: string;

  /** Built in `folder`. The binary is linked in the build folder, where the rest of it lies ready. */
  constructor(folder: string) {
    mkdirSync(folder);
    new ChildProgram(folder, 'runtime-child');
    this.#program = join(folder, 'program/runtime-child.js');
    const present = `protocolVersion = ${protocolVersion};`;
    const [before, after, ...more] = readFileSync(this.#program, 'utf8').split(present);
    if (after === undefined || more.length > 0) throw new Error(`not once in ${this.#program}: ${present}`);
    writeFileSync(this.#program, `${before}protocolVersion = ${protocolVersion + 1};${after}`);

    const { status, stderr } = spawnSync('cmake', ['--build', build, '--target', 'dinghy-supervisor-next'], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`the next version's binary cannot be linked: ${stderr}`);
    const release = join(folder, 'addon/build/Release');
    rmSync(join(folder, 'addon'));
    mkdirSync(release, { recursive: true });
    // Copies: the addon looks for its binary where it really lies.
    copyFileSync(join(build, 'Release/dinghy.node'), join(release, 'dinghy.node'));
    copyFileSync(join(build, 'dinghy-supervisor-next'), join(release, 'dinghy-supervisor'));
  }

  /** See runtime-child.ts. */
  start(root: string, state: string, code: string, given: unknown): StartedProgram {
    return startProgram([process.execPath, this.#program, root, state, code, JSON.stringify(given)]);
  }
}
