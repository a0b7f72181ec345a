import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';

import { DinghyError, isDinghyError } from '../errors';
import type { PushTarget } from '../registry/push-target';
import type { Store } from '../store/store';
import { storeError } from '../util/files';
import { counted, type ProgressReporter } from '../util/progress';

export interface PushBlobOptions {
  store: Store;
  target: PushTarget;
  reporter: ProgressReporter;
  mountFrom: readonly string[];
  signal: AbortSignal;
}

const readBytes = 256 * 1024;

/**
 * The target has the blob. It is read from its file as the registry takes it, never whole.
 * @throws ERR_STORE when it is missing or damaged here; what registries answer
 */
export async function pushBlob(blob: { digest: string; size: number }, options: PushBlobOptions): Promise<void> {
  const { store, target, reporter, mountFrom, signal } = options;
  if (await target.hasBlob(blob.digest, signal)) {
    reporter.blob('exists', blob, blob.size);
    return;
  }
  if (!(await store.blobs.has(blob.digest, blob.size))) {
    throw damaged(blob.digest, 'is missing or was cut short');
  }
  reporter.blob('uploading', blob, 0);
  const read = (start: number, end: number): Readable => {
    const bytes = readRange(store.blobs.path(blob.digest), start, end, blob.digest);
    return Readable.from(
      counted(bytes, (done) => reporter.blob('uploading', blob, done), start),
      { objectMode: false },
    );
  };
  try {
    const how = await target.pushBlob({ ...blob, read }, mountFrom, signal);
    reporter.blob(how === 'mounted' ? 'exists' : 'done', blob, blob.size);
  } catch (error) {
    if (!signal.aborted && isRefusal(error) && !(await store.blobs.verify(blob.digest))) {
      throw damaged(blob.digest, 'is damaged', error);
    }
    throw error;
  }
}

/** A registry that has another digest of what it got may be right. */
function isRefusal(error: unknown): boolean {
  return isDinghyError(error) && error.details?.['status'] === 400;
}

async function* readRange(path: string, start: number, end: number, digest: string): AsyncGenerator<Buffer> {
  let left = end - start;
  try {
    for await (const chunk of createReadStream(path, { start, end: end - 1, highWaterMark: readBytes })) {
      left -= (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  } catch (error) {
    throw storeError(error, `read the blob ${digest}`);
  }
  if (left > 0) {
    throw damaged(digest, 'was cut short');
  }
}

function damaged(digest: string, why: string, cause?: unknown): DinghyError {
  return new DinghyError({
    code: 'ERR_STORE',
    message: `the blob ${digest} ${why}: pull its image again with force, and push then`,
    details: { digest },
    ...(cause === undefined ? {} : { cause }),
  });
}
