import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { type Engine, runToEnd } from './docker';

/** Podman with a store of its own below `base`. Rejects where there is none. */
export async function startPodman(base: string): Promise<Engine> {
  const folder = mkdtempSync(join(base, 'podman-')); // at most 50 characters with what follows
  const places = ['--root', `${folder}/root`, '--runroot', `${folder}/run`, '--storage-driver', 'overlay'];
  const run = (...args: string[]): Promise<void> => runToEnd('podman', [...places, ...args]);
  const stop = async (): Promise<void> => {
    // Its overlay mount of the store's home stays otherwise.
    await run('system', 'reset', '--force').catch(() => undefined);
    await runToEnd('umount', [`${folder}/root/overlay`]).catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await run('info');
  } catch (error) {
    await stop();
    throw error;
  }
  return { run, stop };
}
