import { readlinkSync } from 'node:fs';

/** Whose a claim is: names and keys are links to a container's id. Undefined when there is none, or something else lies there. */
export function ownerOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}
