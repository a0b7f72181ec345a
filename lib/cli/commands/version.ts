import type { Command } from 'commander';
import type { Context } from '../context';
import { packageVersion } from '../../util/version';

/** `version`: of dinghy, Node and the kernel interface it was built for. There is no server to ask. */
export function configure(command: Command, context: Context): void {
  command.action(() => {
    const lines = [
      `Version:  ${packageVersion()}`,
      `Node.js:  ${process.version}`,
      `OS/Arch:  ${process.platform}/${process.arch}`,
    ];
    context.stdout.write(`${lines.join('\n')}\n`);
  });
}
