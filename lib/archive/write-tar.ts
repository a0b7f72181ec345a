import type * as Tar from 'tar';

import type { SavedFile } from './saved-files';

const blockSize = 512;
// Docker's archives have it too: what is in them has digests, and no times.
const epoch = new Date(0);

/** A tar archive of the files and the folders they lie in; the same files give the same bytes. */
export async function* tarOf(files: readonly SavedFile[]): AsyncGenerator<Buffer, void, undefined> {
  const folders = new Set<string>();
  for (const { name, size, open } of files) {
    for (const folder of foldersOf(name).filter((each) => !folders.has(each))) {
      folders.add(folder);
      yield header({ path: folder, type: 'Directory', mode: 0o755, size: 0 });
    }
    yield header({ path: name, type: 'File', mode: 0o644, size });
    yield* open();
    yield Buffer.alloc((blockSize - (size % blockSize)) % blockSize);
  }
  yield Buffer.alloc(2 * blockSize);
}

/** `a/` and `a/b/` of `a/b/c`. */
function foldersOf(name: string): string[] {
  const parts = name.split('/').slice(0, -1);
  return parts.map((_part, index) => `${parts.slice(0, index + 1).join('/')}/`);
}

function header(data: { path: string; type: 'File' | 'Directory'; mode: number; size: number }): Buffer {
  const { Header } = require('tar') as typeof Tar;
  const block = Buffer.alloc(blockSize);
  new Header({ ...data, mtime: epoch, uid: 0, gid: 0 }).encode(block);
  return block;
}
