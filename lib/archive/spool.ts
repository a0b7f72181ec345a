import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { join, posix } from 'node:path';

import type * as Tar from 'tar';

import { isDinghyError } from '../errors';
import { abortable, throwIfAborted } from '../util/abort';
import { storeError } from '../util/files';
import { type ArchiveFile, type ArchiveFiles, invalidArchive } from './files';

const maxEntries = 100_000;
// `docker save` of old engines links a layer to its twin; nobody links to links of links.
const maxLinks = 8;

/**
 * The files of a tar archive, each under a name of ours in a folder of ours: no name of the archive ever becomes a path. Links are
 * followed within the archive.
 */
export class SpooledFiles implements ArchiveFiles {
  readonly #files = new Map<string, ArchiveFile>();
  readonly #links = new Map<string, string>();

  /**
   * Reads the archive to its end, at its pace. `folder` is an empty one on the store's file system.
   * @throws ERR_INVALID_IMAGE for what is no archive, or a hostile one, ERR_NO_SPACE, ABORT_ERR, and what the source throws
   */
  static async read(source: AsyncIterable<Buffer>, folder: string, signal?: AbortSignal): Promise<SpooledFiles> {
    const spooled = new SpooledFiles();
    const { Parser } = require('tar') as typeof Tar;
    const parser = new Parser({ strict: true });
    let fail = (_error: unknown): void => undefined;
    const failed = new Promise<never>((_resolve, reject) => (fail = reject));
    failed.catch(() => undefined); // it is raced with below, at moments
    const ended = once(parser, 'end').catch(fail);
    let current: Tar.ReadEntry | undefined;
    let taken: Promise<unknown> = Promise.resolve();
    let entries = 0;
    let over = false;
    parser.on('eof', () => (over = true));
    parser.on('error', (error: unknown) => fail(invalidArchive((error as Error).message, error)));
    parser.on('entry', (entry: Tar.ReadEntry) => {
      if (++entries > maxEntries) {
        fail(invalidArchive(`it has more than ${maxEntries} entries`));
      }
      current = entry;
      const taking = spooled.#take(entry, join(folder, `${entries}`));
      taking.catch(fail);
      taken = Promise.allSettled([taken, taking]);
    });
    try {
      for await (const chunk of source) {
        throwIfAborted(signal);
        // What pads the end is not for the parser: each block of zeros costs it more time than the one before.
        if (!over && !parser.write(chunk)) {
          await abortable(Promise.race([once(parser, 'drain'), failed]), signal);
        }
      }
      parser.end();
      await abortable(Promise.race([ended, failed]), signal);
      await taken;
      // What came last may have failed after the parser's end.
      await Promise.race([failed, Promise.resolve()]);
      return spooled;
    } catch (error) {
      // Who waits for the rest of an entry waits for ever otherwise.
      current?.on('error', () => undefined);
      current?.destroy(error);
      await taken;
      throw error;
    }
  }

  async find(name: string): Promise<ArchiveFile | undefined> {
    let at = cleanName(name);
    for (let hops = 0; hops <= maxLinks; hops++) {
      const target = this.#links.get(at);
      if (target === undefined) {
        return this.#files.get(at);
      }
      at = target;
    }
    throw invalidArchive(`${name} is a link in a circle`);
  }

  async #take(entry: Tar.ReadEntry, path: string): Promise<void> {
    const name = cleanName(entry.path);
    switch (entry.type) {
      case 'File':
      case 'OldFile':
      case 'ContiguousFile':
        this.#links.delete(name);
        this.#files.set(name, await spoolFile(entry, name, path));
        return;
      case 'SymbolicLink':
        this.#links.set(name, cleanName(posix.join(posix.dirname(name), entry.linkpath ?? '')));
        break;
      case 'Link':
        this.#links.set(name, cleanName(entry.linkpath ?? ''));
        break;
      default: // folders; and what has no place in an image archive, and is never looked for
    }
    entry.resume();
  }
}

async function spoolFile(entry: Tar.ReadEntry, name: string, path: string): Promise<ArchiveFile> {
  const hash = createHash('sha256');
  let size = 0;
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      for await (const chunk of entry as AsyncIterable<Buffer>) {
        hash.update(chunk);
        size += chunk.length;
        await file.writeFile(chunk);
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw isDinghyError(error) ? error : storeError(error, 'keep the archive');
  }
  return { name, path, size, digest: `sha256:${hash.digest('hex')}`, ours: true };
}

/** `./a//b/` is `a/b`. @throws ERR_INVALID_IMAGE for names that lead out */
function cleanName(text: string): string {
  const name = posix.normalize(text).replace(/\/+$/, '');
  if (text.includes('\0') || name.startsWith('/') || name === '..' || name.startsWith('../')) {
    throw invalidArchive(`${JSON.stringify(text.slice(0, 200))} leads out of it`);
  }
  return name;
}
