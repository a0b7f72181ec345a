import { readFileSync } from 'node:fs';

import type { Command } from 'commander';
import type { Context } from '../context';
import { chooseColumns, layoutProcesses } from '../process-table';

/** `top CONTAINER [PS OPTIONS]`: its processes, in the columns that ps would show under these options. */
export function configure(command: Command, context: Context): void {
  command
    .argument('<container>')
    .argument('[options...]', 'as ps takes them: -ef (the default), aux, -o pid,user,args')
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (name: string, options: string[]) => {
      const columns = chooseColumns(options);
      const container = await context.runtime().container(name);
      const processes = await container.top();
      const host = { now: context.now(), memoryBytes: memoryBytes() };
      context.stdout.write(layoutProcesses(columns, processes, host));
    });
}

function memoryBytes(): number {
  return Number(/^MemTotal:\s*(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0) * 1024;
}
