import { randomBytes } from 'node:crypto';
import { createWriteStream, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { type Context, ExitStatus, UsageError } from './context';
import { relay } from './streams';

/**
 * All that the stream gives is on stdout, or in the file, which is there whole or as it was before: also when a signal ends us.
 * What is no regular file (a pipe, /dev/null) is written to as it is.
 */
export async function writeStream(
  open: (signal: AbortSignal) => Promise<Readable>,
  file: string | undefined,
  context: Context,
): Promise<void> {
  const controller = new AbortController();
  if (file === undefined) {
    return relay(await open(controller.signal), context.stdout);
  }
  const present = statSync(file, { throwIfNoEntry: false });
  if (present?.isDirectory()) throw new UsageError(`-o: ${file} is a folder`);
  const draft =
    present && !present.isFile() ? file : join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}`);
  let ended: NodeJS.Signals | undefined;
  const release = context.onSignals((name) => {
    ended = name;
    controller.abort();
  });
  try {
    const source = await open(controller.signal);
    await pipeline(source, createWriteStream(draft, { flags: draft === file ? 'w' : 'wx' }));
    if (draft !== file) await rename(draft, file);
  } catch (error) {
    if (draft !== file) await rm(draft, { force: true });
    throw ended === undefined ? error : new ExitStatus(128 + (constants.signals[ended] ?? 0));
  } finally {
    release();
  }
}
