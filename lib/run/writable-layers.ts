import type { OverlayRoot } from '../oci/spec-types';

/**
 * The folders that hold what a container wrote, in overlay form, topmost first: its upper folder, and below it the layers that were
 * frozen of it, or of what it was forked from. Only the first may still change, and only while the container runs or is copied to.
 */
export function ownLayers({ upper, lower, frozen = 0 }: OverlayRoot): string[] {
  return [upper, ...lower.slice(0, frozen)];
}

/** The image's folders below these, topmost first. */
export function imageLayers({ lower, frozen = 0 }: OverlayRoot): string[] {
  return lower.slice(frozen);
}
