import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';

import { runTask } from '../native/task';
import { capabilitySet } from '../oci/capabilities';
import { needsOwnFilter } from '../oci/runtime-spec';
import type { ContainerSettings } from '../oci/settings';
import type { RunContext } from './context';
import { checkReply } from './start-error';

// Part of the file's name: a new binary may compile another filter from the same set.
const filterVersion = 1;

/**
 * The path of a compiled filter for a set of capabilities that isn't Docker's; undefined when the built-in one fits. Compiling takes
 * 3 to 4 ms, so each set's filter is kept.
 */
export async function seccompFilter(context: RunContext, settings: ContainerSettings): Promise<string | undefined> {
  const capabilities = capabilitySet(settings.capAdd, settings.capDrop, settings.privileged);
  if (!needsOwnFilter(settings, capabilities)) {
    return undefined;
  }
  const folder = join(context.paths.root, 'seccomp');
  const hash = createHash('sha256')
    .update(`${filterVersion} ${process.arch} ${capabilities.join(' ')}`)
    .digest('hex');
  const path = join(folder, `${hash}.bpf`);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const draft = `${path}.${process.pid}`;
    const reply = await runTask('seccomp', 'seccomp', { capabilities, out: draft });
    checkReply('cannot compile the seccomp filter', reply);
    renameSync(draft, path);
  }
  return path;
}
