import { readFileSync } from 'node:fs';

import type { FullImageConfig } from '../oci/compose';
import type { BridgeSection } from '../oci/spec-types';
import type { ResolvedMount } from '../oci/spec-mounts';

/** Of a container that several processes share by a key. */
export interface ReuseRecord {
  key: string;
  /** It was given a name of its own. */
  named: boolean;
  /** Hashes of what it was made with, by option. */
  options: Record<string, string>;
}

/** container.json: what is known of a container from its creation on, for any process that looks it up. */
export interface ContainerRecord {
  version: 1;
  id: string;
  name: string;
  /** As it was named when this container was made. */
  image: string;
  imageId: string;
  /** ISO 8601. */
  created: string;
  detached: boolean;
  autoRemove: boolean;
  /** The process that made it: shown to people, never used to tell whether it lives. */
  ownerPid: number;
  rootfsProvider: 'overlay' | 'overlay-tmpfs';
  labels: Record<string, string>;
  env: string[];
  args: string[];
  workdir: string;
  user: string;
  hostname: string;
  tty: boolean;
  openStdin: boolean;
  ports: BridgeSection['ports'];
  mounts: ResolvedMount[];
  /** Which networks it is on says its config.json: that may change. */
  network: { mode: 'none' | 'host' | 'bridge' } | { mode: 'container'; container: string };
  stopSignal: number;
  stopTimeoutMs: number;
  reuse?: ReuseRecord;
  /** The options as they were given, for those that are forked from it; absent where an older version made it. */
  asked?: Record<string, unknown>;
  /** What an image made of it says; absent from those of older versions. */
  config?: FullImageConfig;
}

/** Undefined when there is none (yet, or any more): it is written last of a container's files, by rename. */
export function readRecord(path: string): ContainerRecord | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ContainerRecord;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return undefined;
    }
    throw error;
  }
}
