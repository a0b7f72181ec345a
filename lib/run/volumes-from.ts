import type { ResolvedMount } from '../oci/spec-mounts';
import type { VolumesFromSetting } from '../oci/settings';
import type { RunContext } from './context';
import { findContainer } from './find';

/**
 * What those containers have mounted of this host: their volumes, anonymous ones too, and binds, but no tmpfs; of two at the same
 * place the later container's. They need not run.
 * @throws ERR_CONTAINER_NOT_FOUND
 */
export function mountsFrom(context: RunContext, asked: readonly VolumesFromSetting[]): ResolvedMount[] {
  const found = new Map<string, ResolvedMount>();
  for (const { container, readOnly } of asked) {
    for (const mount of findContainer(context, container).record.mounts) {
      if (mount.type !== 'tmpfs') {
        // What a volume is filled with is up to the container that it was made for.
        found.set(mount.target, { ...mount, readOnly: mount.readOnly || readOnly, noCopy: true });
      }
    }
  }
  return [...found.values()];
}
