import type { Command } from 'commander';
import type { CreateOptions } from '../index';
import { UsageError } from './context';
import { collect } from './filters';
import { number } from './flag-values';

/** The flags of what a container may do with the host's disks. */
export interface IoFlags {
  blkioWeight?: string;
  deviceReadBps?: string[];
  deviceReadIops?: string[];
  deviceWriteBps?: string[];
  deviceWriteIops?: string[];
}

export function declareIoFlags(command: Command): Command {
  return command
    .option('--blkio-weight <number>', 'relative share of disk time (10 to 1000)')
    .option('--device-read-bps <device:rate>', 'limit reading from a disk (/dev/sda:10mb)', collect)
    .option('--device-read-iops <device:rate>', 'limit reads from a disk per second', collect)
    .option('--device-write-bps <device:rate>', 'limit writing to a disk', collect)
    .option('--device-write-iops <device:rate>', 'limit writes to a disk per second', collect);
}

/** @throws UsageError */
export function ioOption(flags: IoFlags): CreateOptions['io'] {
  const given = {
    weight: number(flags.blkioWeight, '--blkio-weight'),
    readBytesPerSecond: rates(flags.deviceReadBps, '--device-read-bps', (text) => text),
    writeBytesPerSecond: rates(flags.deviceWriteBps, '--device-write-bps', (text) => text),
    readOperationsPerSecond: rates(flags.deviceReadIops, '--device-read-iops', Number),
    writeOperationsPerSecond: rates(flags.deviceWriteIops, '--device-write-iops', Number),
  };
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

function rates<T>(
  values: readonly string[] | undefined,
  flag: string,
  read: (text: string) => T,
): Record<string, T> | undefined {
  if (values === undefined) return undefined;
  return Object.fromEntries(
    values.map((value) => {
      const at = value.lastIndexOf(':');
      if (at <= 0) throw new UsageError(`${flag} takes device:rate, not "${value}"`);
      return [value.slice(0, at), read(value.slice(at + 1))];
    }),
  );
}
