import { readFileSync } from 'node:fs';

import type { RuntimeSpec } from '../oci/spec-types';

/** What config.json says now; undefined when it was never written or is torn (then nothing was started with it), or was removed. */
export function readSpec(path: string): RuntimeSpec | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as RuntimeSpec;
  } catch {
    return undefined;
  }
}
