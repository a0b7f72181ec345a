import { parsePorts } from '../network/ports';
import { isPlainObject, type PlainObject } from '../util/checks';
import { readSpec } from './config-file';
import { settleMounts } from './mount-options';
import type { ContainerPlaces } from './places';
import type { ContainerRecord } from './record';
import { limitsIn } from './update';

// What is this container's alone, or is over once it was made: `files` lie in its layer by then, and credentials are nobody's business.
const notKept = new Set(['name', 'reuse', 'files', 'signal', 'pull', 'platform', 'auth', 'onPullProgress']);

/** What a container was asked to be, as JSON can hold it: what its record keeps for those that are forked from it. */
export function keepOptions(options: PlainObject): PlainObject {
  const kept = Object.entries(options).filter(([name, value]) => value !== undefined && !notKept.has(name));
  return Object.fromEntries(kept.map(([name, value]) => [name, keepers[name]?.(value) ?? value]));
}

/**
 * The options that a fork takes over from its base, whose limits, restart policy and labels are what they are by now. An address that
 * was asked for belongs to the base; a host port becomes any free one.
 */
export function inheritedOptions(record: ContainerRecord, places: ContainerPlaces): PlainObject {
  const { ports, network, waitFor, volumesFrom, ...rest } = record.asked ?? {};
  return {
    ...rest,
    ...(volumesFrom === undefined ? {} : { mounts: withJoined(rest['mounts'], record) }),
    ...presentLimits(places.config),
    ...(ports === undefined ? {} : { ports: parsePorts(ports).map((port) => ({ ...port, hostPort: 0 })) }),
    ...(network === undefined ? {} : { network: withoutAddresses(network) }),
    ...(waitFor === undefined ? {} : { waitFor: eachOf(waitFor, reviveCondition) }),
    ...(Object.keys(record.labels).length > 0 ? { labels: record.labels } : {}),
  };
}

const keepers: Readonly<Record<string, (value: unknown) => unknown>> = {
  waitFor: (value) => eachOf(value, keepCondition),
  network: keepNetwork,
};

function eachOf(value: unknown, change: (each: unknown) => unknown): unknown {
  return Array.isArray(value) ? value.map(change) : change(value);
}

// JSON has no regular expressions.
function keepCondition(condition: unknown): unknown {
  const log = isPlainObject(condition) ? condition['log'] : undefined;
  return isRegExp(log) ? { ...(condition as PlainObject), log: { pattern: log.source, flags: log.flags } } : condition;
}

function reviveCondition(condition: unknown): unknown {
  const log = isPlainObject(condition) ? condition['log'] : undefined;
  return isPlainObject(log) && typeof log['pattern'] === 'string'
    ? { ...(condition as PlainObject), log: new RegExp(log['pattern'], String(log['flags'])) }
    : condition;
}

// Of whatever realm.
function isRegExp(value: unknown): value is RegExp {
  return Object.prototype.toString.call(value) === '[object RegExp]';
}

// A Network has a name of its own; of several by name it is the key.
function keepNetwork(network: unknown): unknown {
  if (!isPlainObject(network)) {
    return network;
  }
  const { name } = network;
  return typeof name === 'string' ? name : mapValues(network, (attachment) => attachment ?? {});
}

function withoutAddresses(network: unknown): unknown {
  return isPlainObject(network)
    ? mapValues(network, (attachment) => {
        const { address: _address, address6: _address6, ...rest } = attachment as PlainObject;
        return rest;
      })
    : network;
}

function mapValues(object: PlainObject, change: (value: unknown) => unknown): PlainObject {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
}

/** What it has of other containers, by itself: they may be gone. */
function withJoined(asked: unknown, { mounts }: ContainerRecord): unknown[] {
  const own = new Set(settleMounts(asked, undefined).map(({ target }) => target));
  const joined = mounts
    .filter(({ type, target }) => type !== 'tmpfs' && !own.has(target))
    .map(({ type, name, source, anonymous, target, readOnly, subpath, recursive, propagation }) => ({
      type,
      source: anonymous ? undefined : (name ?? source),
      ...{ target, readOnly, subpath, recursive, propagation },
    }));
  return [...((asked as unknown[] | undefined) ?? []), ...joined];
}

/** As update() left them. Swap that is Docker's default, as much as memory, stays the default for another memory. */
function presentLimits(config: string): PlainObject {
  const { limits, restart } = limitsIn(readSpec(config));
  const { memoryBytes, memorySwapBytes, cpus, cpuShares, cpuset, pids } = limits;
  const isUsual = memoryBytes !== undefined && memorySwapBytes === 2 * memoryBytes;
  const present = {
    memory: memoryBytes,
    memorySwap: isUsual ? undefined : memorySwapBytes,
    ...{ cpus, cpuShares, cpuset, pids },
    restart,
  };
  return Object.fromEntries(Object.entries(present).filter(([, value]) => value !== undefined));
}
