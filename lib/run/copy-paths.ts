import { posix, resolve } from 'node:path';

import { checkArgument, invalidOption } from '../util/checks';

/** A path to be copied, as the binary and the rules of `docker cp` need it. */
export interface CopySource {
  /** Absolute; its trailing `/` or `/.` is kept, for it means something. */
  path: string;
  /** What it is called where it goes, unless it gets another name there. */
  name: string;
  /** `SRC/.`: what is in the folder, without the folder. */
  contents: boolean;
  /** A link at the end is followed when something follows it. */
  entered: boolean;
}

/** A path of this host; a relative one begins in the working folder. */
export function hostSource(option: string, value: unknown): CopySource {
  return describeSource(hostPath(option, value));
}

/** A path of the container; a relative one begins at its root, as in Docker. */
export function containerSource(option: string, value: unknown): CopySource {
  return describeSource(containerPath(option, value));
}

export function hostPath(option: string, value: unknown): string {
  const path = checkPath(option, value);
  return withEnding(resolve(path), path);
}

export function containerPath(option: string, value: unknown): string {
  const path = checkPath(option, value);
  return withEnding(posix.join('/', path).replace(/(.)\/$/, '$1'), path);
}

function checkPath(option: string, value: unknown): string {
  const path = checkArgument(option, value);
  if (path === '') {
    throw invalidOption(option, value, 'must be a path');
  }
  return path;
}

// Normalizing takes off what asks for a folder (`/`) or for its contents (`/.`).
function withEnding(clean: string, path: string): string {
  const stem = clean === '/' ? '' : clean;
  if (path === '.' || path.endsWith('/.')) {
    return `${stem}/.`;
  }
  return path.endsWith('/') || stem === '' ? `${stem}/` : stem;
}

function describeSource(path: string): CopySource {
  const contents = path.endsWith('/.');
  const name = posix.basename(contents ? path.slice(0, -2) : path);
  return { path, name, contents: contents || name === '', entered: path.endsWith('/') || contents };
}
