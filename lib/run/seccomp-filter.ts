import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';

import { runTask } from '../native/task';
import { capabilitySet } from '../oci/capabilities';
import { needsOwnFilter } from '../oci/runtime-spec';
import { flattenProfile } from '../oci/seccomp-profile';
import type { ContainerSettings } from '../oci/settings';
import type { RunContext } from './context';
import { checkReply } from './start-error';

// Part of the file's name: a new binary may compile another filter from the same set.
const filterVersion = 1;

/**
 * The path of a compiled filter, for a profile of the user's own or for capabilities that aren't Docker's; undefined when the built-in
 * one fits. Compiling takes 3 to 4 ms, so each is kept.
 */
export async function seccompFilter(context: RunContext, settings: ContainerSettings): Promise<string | undefined> {
  const capabilities = capabilitySet(settings.capAdd, settings.capDrop, settings.privileged);
  if (!needsOwnFilter(settings, capabilities)) {
    return undefined;
  }
  const folder = join(context.paths.root, 'seccomp');
  const { seccomp } = settings;
  const host = { capabilities, arch: process.arch, kernel: release() };
  const profile = typeof seccomp === 'object' ? flattenProfile(seccomp, host) : undefined;
  const hash = createHash('sha256')
    .update(`${filterVersion} ${process.arch} ${profile ? JSON.stringify(profile) : capabilities.join(' ')}`)
    .digest('hex');
  const path = join(folder, `${hash}.bpf`);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const draft = `${path}.${process.pid}`;
    const reply = await runTask('seccomp', 'seccomp', {
      capabilities,
      out: draft,
      ...(profile ? { profile } : {}),
    });
    checkReply('cannot compile the seccomp filter', reply);
    renameSync(draft, path);
  }
  return path;
}
