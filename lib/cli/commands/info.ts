import type { Command } from 'commander';
import type { Context } from '../context';
import { ExitStatus } from '../context';
import { expand } from '../table';

/** `info`: what this host can do. Exits with 1 where no container can run, and says why. */
export function configure(command: Command, context: Context): void {
  command
    .option('-f, --format <template>', "'{{.cgroup}}', '{{json .}}'")
    .action(async (flags: { format?: string }) => {
      const info = await context.runtime().info();
      if (flags.format !== undefined) {
        context.stdout.write(`${expand(flags.format === 'json' ? '{{json .}}' : flags.format, info)}\n`);
        return;
      }
      const lines = [
        ['Version', info.version],
        ['Usable', info.usable ? 'yes' : 'no'],
        ['Kernel', info.kernel],
        ['Cgroup', `${info.cgroup} (${info.controllers.join(' ') || 'no controllers'})`],
        ['Root file systems', info.rootfs],
        ['Rootless', info.rootless ? 'yes' : 'no'],
        ['Data folder', info.root],
        ['Run-time folder', info.state],
      ];
      for (const [name, value] of lines) context.stdout.write(`${name}: ${value}\n`);
      for (const reason of info.reasons) context.stderr.write(`WARNING: ${reason}\n`);
      if (!info.usable) throw new ExitStatus(1);
    });
}
