import { existsSync } from 'node:fs';

import type { ContainerControl } from './container-control';
import type { RunContext } from './context';
import { listContainers } from './find';
import { isActive, observe, type SupervisorState } from './state';
import { readSpec } from './config-file';
import { limitsIn } from './update';

export interface RestoreOutcome {
  /** Running again. */
  started: { id: string; name: string }[];
  /** Those that were to be removed at their end. */
  removed: { id: string; name: string }[];
  failed: { id: string; name: string; error: unknown }[];
}

const width = 4;

/**
 * Detached containers that nobody supervises, as after a boot, run again if their restart policy says so. One that fails keeps no
 * other from being started.
 */
export async function restoreContainers(context: RunContext): Promise<RestoreOutcome> {
  const outcome: RestoreOutcome = { started: [], removed: [], failed: [] };
  // The oldest first: it may be what the others talk to.
  const all = (await listContainers(context)).reverse();
  const sharesNetwork = ({ record }: ContainerControl): boolean => record.network.mode === 'container';
  const waiting = all.filter((control) => !sharesNetwork(control));
  const worker = async (): Promise<void> => {
    for (let control = waiting.shift(); control; control = waiting.shift()) {
      await restore(control, outcome);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  // They need the one whose network it is, which is older, and may be one of these.
  for (const control of all.filter(sharesNetwork)) {
    await restore(control, outcome);
  }
  return outcome;
}

async function restore(control: ContainerControl, outcome: RestoreOutcome): Promise<void> {
  const { id, name, detached, autoRemove } = control.record;
  const { alive, state } = observe(control.places);
  if (!detached || alive || state?.startedAt === undefined) {
    return;
  }
  try {
    if (autoRemove) {
      await control.discard({ forAll: true });
      outcome.removed.push({ id, name });
    } else if (shouldStart(control, state)) {
      await control.startUnlessRunning();
      outcome.started.push({ id, name });
    }
  } catch (error) {
    const now = observe(control.places);
    const runs = now.alive && now.state !== undefined && isActive(now.state);
    // Where it runs, or is gone, somebody else was faster.
    if (!runs && existsSync(control.places.bundle)) {
      outcome.failed.push({ id, name, error });
    }
  }
}

/** As Docker's daemon decides when it starts. An end that nobody saw counts as a failure. */
function shouldStart({ places }: ContainerControl, state: SupervisorState): boolean {
  const { policy, maxRetries = Infinity } = limitsIn(readSpec(places.config)).restart;
  const unseen = isActive(state) || state.exitCode === undefined;
  switch (policy) {
    case 'always':
      return true;
    case 'unless-stopped':
      return !state.manuallyStopped;
    case 'on-failure':
      return !state.manuallyStopped && (unseen || state.exitCode !== 0) && state.restartCount < maxRetries;
    default:
      return false;
  }
}
