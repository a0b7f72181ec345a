import { once } from 'node:events';

import type { Command } from 'commander';
import type { EventFilters, RuntimeEvent } from '../../index';
import type { Context } from '../context';
import { collect, parseFilters } from '../filters';
import { time } from '../flag-values';
import { expand } from '../table';

interface EventsFlags {
  filter?: string[];
  format?: string;
  since?: string;
  until?: string;
}

const filterKeys: Readonly<Record<string, keyof EventFilters>> = {
  container: 'container',
  event: 'action',
  image: 'image',
  label: 'label',
  network: 'network',
  type: 'type',
  volume: 'volume',
};

/** `events`: a line for each, from every process, until it is interrupted or `--until` has passed. */
export function configure(command: Command, context: Context): void {
  command
    .option('-f, --filter <key=value>', 'type, event, container, image, label, network, volume', collect)
    .option('--format <template>', "'{{.Type}} {{.Action}} {{.Actor.ID}}', json")
    .option('--since <time>', 'begin with what happened since a time or a while ago (42m)')
    .option('--until <time>', 'end at a time or a while ago')
    .action(async (flags: EventsFlags) => {
      const print = printer(flags.format);
      const since = time(flags.since, '--since', context.now());
      const until = time(flags.until, '--until', context.now());
      const filters: EventFilters = parseFilters(flags.filter ?? [], filterKeys);
      for await (const event of context.runtime().events({ filters, since, until })) {
        if (!context.stdout.write(`${print(event)}\n`)) await once(context.stdout, 'drain');
      }
    });
}

function printer(format: string | undefined): (event: RuntimeEvent) => string {
  if (format === undefined) return toLine;
  if (format === 'json' || /^\{\{\s*json\s+\.\s*\}\}$/.test(format)) return toJson;
  return (event) => expand(format, fieldsOf(event));
}

/** `2026-03-01T12:00:00.123456789Z container start 0fdb… (image=nginx, name=web)` */
function toLine({ timestamp, type, action, id, attributes }: RuntimeEvent): string {
  const sorted = Object.entries(attributes).sort(([left], [right]) => (left < right ? -1 : 1));
  const list = sorted.map(([name, value]) => `${name}=${value}`).join(', ');
  return `${timestamp} ${type} ${action} ${id} (${list})`;
}

// What Docker's templates call them. `status`, `id` and `from` are what its events had before they had a type.
function fieldsOf(event: RuntimeEvent): Record<string, unknown> {
  const { type, action, id, attributes, time: at } = event;
  return {
    Status: action,
    ID: id,
    From: fromOf(event),
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    Scope: 'local',
    Time: Math.floor(at.getTime() / 1000),
    TimeNano: nanoseconds(event),
  };
}

function toJson(event: RuntimeEvent): string {
  const { type, action, id, attributes, time: at } = event;
  const from = fromOf(event);
  const text = JSON.stringify({
    status: action,
    id,
    ...(from === '' ? {} : { from }),
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    scope: 'local',
    time: Math.floor(at.getTime() / 1000),
  });
  // A number that JavaScript has no room for.
  return `${text.slice(0, -1)},"timeNano":${nanoseconds(event)}}`;
}

function fromOf({ type, attributes }: RuntimeEvent): string {
  return type === 'container' ? (attributes['image'] ?? '') : '';
}

function nanoseconds({ timestamp, time: at }: RuntimeEvent): string {
  const fraction = /\.(\d+)/.exec(timestamp)?.[1] ?? '';
  return `${Math.floor(at.getTime() / 1000)}${fraction.padEnd(9, '0').slice(0, 9)}`;
}
