import { createHash } from 'node:crypto';

import { DinghyError } from '../errors';
import type { ContainerSettings } from '../oci/settings';
import { sleep, throwIfAborted } from '../util/abort';
import { placesOnDisk } from './clean';
import { ownerOf } from './claim-links';
import { ContainerControl } from './container-control';
import type { RunContext } from './context';
import { statusOf } from './describe';
import { readRecord, type ReuseRecord } from './record';
import { observe } from './state';

/** What a container is shared by: its key, and what it was made of. */
export interface ReuseRequest extends ReuseRecord {
  /** The link that leads from the key to the container. */
  link: string;
}

/** How long one that is being removed may take to be gone. */
const goingMs = 10_000;
const hashLength = 32;

/** The lock of a key, one of 256 for all keys: who has it finds the container or makes it. */
export function reuseLock(key: string): string {
  return `reuse-${hash(key).slice(0, 2)}`;
}

/** `image`: its id. What only tells how the call goes, and not what is made, is no part of `settings`. */
export function reuseRequest(
  { paths }: RunContext,
  key: string,
  settings: ContainerSettings,
  image: string,
): ReuseRequest {
  const options = Object.entries({ image, ...settings })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [optionNames[name] ?? name, hash(canonical(value))]);
  return {
    key,
    named: settings.name !== undefined,
    options: Object.fromEntries(options) as Record<string, string>,
    link: paths.reuse(hash(key).slice(0, hashLength)),
  };
}

// Where a setting is called otherwise than the option it was given by.
const optionNames: Readonly<Record<string, string>> = {
  memoryBytes: 'memory',
  memoryReservationBytes: 'memoryReservation',
  memorySwapBytes: 'memorySwap',
  shmBytes: 'shmSize',
  terminal: 'tty',
};

/**
 * The living container of the key, held by this process too unless it is detached, for whoever has the key's lock; undefined when
 * there is none, and then nothing of an earlier one stands in the way of another.
 * @throws ERR_REUSE_MISMATCH, ABORT_ERR
 */
export async function joinReused(
  context: RunContext,
  wanted: ReuseRequest,
  signal: AbortSignal | undefined,
): Promise<ContainerControl | undefined> {
  for (const deadline = Date.now() + goingMs; ; await sleep(10, signal)) {
    throwIfAborted(signal);
    const control = findReused(context, wanted);
    if (!control) {
      return undefined;
    }
    if (isOver(control)) {
      // One that ended stays with those who hold it, for its logs, unless it has the name that the next one is to have.
      if (control.record.detached || control.record.reuse?.named) {
        await control.discard({ forAll: true });
      }
      return undefined;
    }
    assertSame(control, wanted);
    if (control.record.detached || (await control.hold())) {
      return control;
    }
    // Its last holder has just gone, and it goes too.
    if (Date.now() > deadline) {
      throw control.locked();
    }
  }
}

function findReused(context: RunContext, { link, key }: ReuseRequest): ContainerControl | undefined {
  const id = ownerOf(link);
  if (id === undefined) {
    return undefined;
  }
  const places = placesOnDisk(context, id);
  const record = readRecord(places.record);
  return record?.reuse?.key === key ? new ContainerControl(context, places, record) : undefined;
}

function isOver({ places, record }: ContainerControl): boolean {
  const seen = observe(places);
  return statusOf(seen) === 'exited' || (!record.detached && !seen.alive);
}

function assertSame({ record }: ContainerControl, wanted: ReuseRequest): void {
  const has = record.reuse?.options ?? {};
  const names = new Set([...Object.keys(wanted.options), ...Object.keys(has)]);
  const different = [...names].find((name) => has[name] !== wanted.options[name]);
  if (different !== undefined) {
    throw new DinghyError({
      code: 'ERR_REUSE_MISMATCH',
      message:
        `the container of reuse key ${JSON.stringify(wanted.key)} (${record.name}) was made with another ${different}: ` +
        'give the same options, use another key, or remove that container',
      details: { option: different, key: wanted.key, container: record.id },
    });
  }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The same text for the same value, in whatever order its properties were given. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => {
    if (ArrayBuffer.isView(each)) {
      return Buffer.from(each.buffer, each.byteOffset, each.byteLength).toString('base64');
    }
    if (typeof each === 'object' && each !== null && !Array.isArray(each)) {
      return Object.fromEntries(Object.entries(each).sort(([left], [right]) => (left < right ? -1 : 1)));
    }
    return each;
  });
}
