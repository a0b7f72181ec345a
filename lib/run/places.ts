import { join } from 'node:path';

import type { StorePaths } from '../store/paths';

/** Where one container lies: its bundle in the data folder, its socket in the run-time folder. */
export interface ContainerPlaces {
  id: string;
  bundle: string;
  /** The OCI runtime specification. */
  config: string;
  /** What Node remembers of it: image, labels, what was asked for. */
  record: string;
  /** Written by the supervisor. */
  state: string;
  /** Written by the supervisor: what the health check found. */
  health: string;
  lock: string;
  log: string;
  /** Lies below the upper folder when the image has no layers: overlay wants something there. */
  empty: string;
  upper: string;
  work: string;
  /** Where what containers wrote lies as layers: on the file system of the upper folder, for it goes there by a rename. */
  frozen: string;
  etc: string;
  /** Its folder on the run-time tmpfs. */
  runtime: string;
  socket: string;
}

/** How root file systems are made here: overlay, with its upper in the data folder or, where that can't be one, on tmpfs. */
export type RootfsProvider = 'overlay' | 'overlay-tmpfs';

export function containerPlaces(
  paths: StorePaths,
  state: string,
  id: string,
  provider: RootfsProvider,
): ContainerPlaces {
  const bundle = paths.container(id);
  // 12 digits, as people see them: a socket's path has room for 107 bytes.
  const runtime = join(state, id.slice(0, 12));
  const writable = provider === 'overlay' ? bundle : runtime;
  return {
    id,
    bundle,
    config: join(bundle, 'config.json'),
    record: join(bundle, 'container.json'),
    state: join(bundle, 'state.json'),
    health: join(bundle, 'health.json'),
    lock: join(bundle, 'lock'),
    log: join(bundle, 'log', 'container.log'),
    empty: join(bundle, 'empty'),
    upper: join(writable, 'upper'),
    work: join(writable, 'work'),
    frozen: provider === 'overlay' ? paths.frozen : join(state, 'frozen'),
    etc: join(bundle, 'etc'),
    runtime,
    socket: join(runtime, 'ctl'),
  };
}
