import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import type { FileSetting } from '../oci/settings';

const maxLinks = 40; // as the kernel: more of them is a loop

/**
 * The files lie in `upper`, the container's own layer, before anything of the container runs. Links of the image are followed
 * inside its root; folders on the way keep the image's modes and owners, which those of the upper layer would hide.
 */
export function layInitialFiles(upper: string, lower: readonly string[], files: readonly FileSetting[]): void {
  for (const file of files) {
    try {
      layFile(upper, lower, file);
    } catch (error) {
      if ((error as { code?: string }).code === 'ERR_INVALID_OPTION') {
        throw error;
      }
      throw refused(file, (error as Error).message, error);
    }
  }
}

function layFile(upper: string, lower: readonly string[], file: FileSetting): void {
  const content = file.content ?? readFileSync(file.source!);
  const parts = resolvePath(lower, file);
  let folder = upper;
  for (const [index, part] of parts.slice(0, -1).entries()) {
    folder = join(folder, part);
    makeFolder(folder, lookUp(lower, parts.slice(0, index + 1)));
  }
  const path = join(folder, parts.at(-1)!);
  rmSync(path, { force: true });
  writeFileSync(path, content, { flag: 'wx', mode: 0o600 });
  own(path, file.uid, file.gid);
  chmodSync(path, file.mode);
}

function makeFolder(path: string, model: Stats | undefined): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      return; // made for an earlier file
    }
    throw error;
  }
  own(path, model?.uid ?? 0, model?.gid ?? 0);
  chmodSync(path, model ? model.mode & 0o7777 : 0o755);
}

// Without root, this user's id is the container's root already.
function own(path: string, uid: number, gid: number): void {
  if (process.geteuid?.() === 0) {
    chownSync(path, uid, gid);
  } else if (uid !== 0 && uid !== process.geteuid?.()) {
    throw new Error(`only root can give files to user ${uid}`);
  }
}

/** The parts of the path with every link of the image resolved inside its root. */
function resolvePath(lower: readonly string[], file: FileSetting): string[] {
  const waiting = file.path.split('/').filter((part) => part !== '' && part !== '.');
  let done: string[] = [];
  for (let links = 0; waiting.length > 0;) {
    const part = waiting.shift()!;
    if (part === '..') {
      done = done.slice(0, -1);
      continue;
    }
    const found = lookUp(lower, [...done, part]);
    if (found?.isSymbolicLink()) {
      if (++links > maxLinks) {
        throw refused(file, 'too many symbolic links');
      }
      const target = found.target ?? '';
      done = target.startsWith('/') ? [] : done;
      waiting.unshift(...target.split('/').filter((each) => each !== '' && each !== '.'));
    } else {
      // The last part must be no folder, and every other one must.
      if (found?.isDirectory() === (waiting.length === 0)) {
        throw refused(
          file,
          `${[...done, part].join('/')} is ${waiting.length === 0 ? 'a folder' : 'no folder'} in the image`,
        );
      }
      done.push(part);
    }
  }
  if (done.length === 0) {
    throw refused(file, 'it leads to the root folder');
  }
  return done;
}

type Found = Stats & { target?: string };

/** What the stacked layers show at a path that has no links on the way. */
function lookUp(lower: readonly string[], parts: readonly string[]): Found | undefined {
  let folders = [...lower];
  let found: Found | undefined;
  for (const part of parts) {
    found = undefined;
    const below: string[] = [];
    for (const folder of folders) {
      const path = join(folder, part);
      const stat: Found | undefined = lstatSync(path, { throwIfNoEntry: false });
      if (!stat) {
        continue;
      }
      if (stat.isCharacterDevice() && stat.rdev === 0) {
        break; // a whiteout: what lies deeper is deleted
      }
      if (!found) {
        found = stat;
        found.target = stat.isSymbolicLink() ? readlinkSync(path) : undefined;
      }
      if (!stat.isDirectory()) {
        break;
      }
      below.push(path);
    }
    folders = below;
  }
  return found;
}

function refused(file: FileSetting, why: string, cause?: unknown): DinghyError {
  return new DinghyError({
    code: 'ERR_INVALID_OPTION',
    message: `option files: ${file.path} cannot be laid: ${why}`,
    details: { option: 'files', path: file.path },
    cause,
  });
}
