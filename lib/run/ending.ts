import { existsSync } from 'node:fs';

import type { DinghyError } from '../errors';
import { abortable, sleep, throwIfAborted } from '../util/abort';
import type { ContainerControl } from './container-control';
import type { WaitResult } from './exec-result';
import { endOf, observe, type SupervisorState, waitResult } from './state';
import type { SupervisorLink } from './supervisor-link';

/** Which end is waited for. */
export interface WantedEnd {
  /** In which an end may be told already, that does not count. */
  before?: SupervisorState | undefined;
  /** An end does not count after which its policy starts it again. */
  final?: boolean;
}

/** The last end before it was gone, `last` or a later one that its policy made possible. */
export async function waitForRemoval(
  control: ContainerControl,
  last: WaitResult,
  signal: AbortSignal | undefined,
): Promise<WaitResult> {
  let end = last;
  while (existsSync(control.places.bundle)) {
    const held = control.heldLink;
    const link = held ?? (await control.connect(signal));
    try {
      while (link && !link.isClosed) {
        const version = link.version;
        const state = link.state ?? (await abortable(link.subscribe(), signal).catch(ignoreLostSupervisor));
        end = state?.finishedAt === undefined ? end : endOf(state);
        await link.changed(version, signal);
        throwIfAborted(signal);
      }
      end = link?.state?.finishedAt === undefined ? end : endOf(link.state);
    } finally {
      if (link && link !== held) {
        link.close();
      }
    }
    await sleep(20, signal);
  }
  return end;
}

/** How it ended, as `wanted`. @throws ABORT_ERR, ERR_CONTAINER_NOT_FOUND */
export async function waitForEnd(
  control: ContainerControl,
  wanted: WantedEnd,
  signal: AbortSignal | undefined,
): Promise<WaitResult> {
  for (;;) {
    const held = control.heldLink;
    const link = held ?? (await control.connect(signal));
    const following = link && followToEnd(link, wanted, signal);
    const last = await following?.finally(() => (held ? undefined : link?.close()));
    if (last) {
      return endOf(last);
    }
    const { alive, state, dead } = observe(control.places);
    // An owned one has a supervisor from its creation on: when that was killed, nothing will ever start it.
    const over = dead || !control.record.detached || (state !== undefined && hasEnded(state, wanted));
    if (!alive && over && existsSync(control.places.bundle)) {
      return waitResult(state);
    }
    if (!existsSync(control.places.bundle)) {
      const last = control.toldEnd;
      if (state ?? last) {
        return state ? waitResult(state) : endOf(last!);
      }
      throw control.notFound();
    }
    await sleep(20, signal);
  }
}

/** The state it ended in, or undefined when the supervisor went away without telling. */
async function followToEnd(
  link: SupervisorLink,
  wanted: WantedEnd,
  signal: AbortSignal | undefined,
): Promise<SupervisorState | undefined> {
  // Not again where it follows already: were the supervisor gone, the request's failure (EPIPE) would destroy the socket, and with it
  // the last words that lie there unread.
  if (!link.state) {
    await abortable(link.subscribe(), signal).catch(ignoreLostSupervisor);
  }
  for (;;) {
    const { state, version } = link;
    if (state && hasEnded(state, wanted)) {
      return state;
    }
    if (link.isClosed) {
      return undefined;
    }
    await link.changed(version, signal);
    throwIfAborted(signal);
  }
}

// The state keeps the last end while it runs again: no end is missed, however soon the next run begins.
function hasEnded(state: SupervisorState, { before, final = false }: WantedEnd): boolean {
  if (state.finishedAt === undefined || (final && state.status !== 'stopped')) {
    return false;
  }
  // One that was about to be started again, and was stopped, has ended although it did not run.
  return state.finishedAt !== before?.finishedAt || (state.status === 'stopped' && before?.status !== 'stopped');
}

function ignoreLostSupervisor(error: unknown): undefined {
  if ((error as DinghyError).code !== 'ERR_SUPERVISOR') {
    throw error;
  }
  return undefined;
}
