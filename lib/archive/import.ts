import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { DinghyError, isDinghyError } from '../errors';
import { addImage } from '../layers/add-image';
import { keepLayer } from '../layers/keep';
import { packTree } from '../layers/pack';
import { unpackLayer } from '../layers/unpack';
import type { SettledUnpackLimits } from '../layers/unpack-limits';
import { composeImage, type FullImageConfig } from '../oci/compose';
import type { Platform } from '../oci/platform';
import type { IdRange } from '../oci/spec-types';
import { addContent, type Adding } from '../store/add-content';
import type { StoredImage } from '../store/images';
import type { LayerRecord } from '../store/layers';
import type { Store } from '../store/store';
import { throwIfAborted } from '../util/abort';
import type { BlobProgress } from '../util/progress';

/** A root file system: the path of a tar archive or a folder, or an archive's bytes. */
export type ImportSource = string | AsyncIterable<Buffer | string>;

export interface ImportParts {
  store: Store;
  /** An ordinary user: owners in a folder are seen through his id map. */
  rootless?: { uid: number; gid: number; subuid?: IdRange; subgid?: IdRange };
  limits?: SettledUnpackLimits;
}

export interface ImportSettings {
  /** Canonical; without one the image has no name. */
  name?: string;
  platform: Platform;
  config: FullImageConfig;
  /** Stands in the history. */
  message: string;
  created: Date;
}

export interface ImportCall {
  onProgress?: (progress: Omit<BlobProgress, 'digest'>) => void;
  signal?: AbortSignal;
}

/**
 * An image of one layer, the archive's content, is in the store; its blob is the archive as it was given. When it fails or is aborted
 * nothing of it is left.
 *
 * The archive is read as a layer is, by the same rules and limits: plain, gzip or zstd.
 * @throws ERR_ARCHIVE, ERR_LAYER, ERR_NO_SPACE, ERR_STORE, ABORT_ERR
 */
export async function importImage(
  source: ImportSource,
  parts: ImportParts,
  settings: ImportSettings,
  { onProgress, signal }: ImportCall = {},
): Promise<StoredImage> {
  const { store } = parts;
  throwIfAborted(signal);
  await store.open();
  const failing = new AbortController();
  const tell = (phase: BlobProgress['phase'], current: number, total?: number): void => {
    const bytes = { current, ...(total === undefined ? {} : { total }) };
    try {
      onProgress?.({ phase, ...bytes, overall: bytes });
    } catch (error) {
      failing.abort(error); // called from where nobody could catch it
    }
  };
  return addContent(store, failing, signal, async (adding) => {
    const { blob, diffId } = await importLayer(source, parts, adding, (read, total) => tell('extracting', read, total));
    const { platform, created, config, message: comment, name } = settings;
    const history = [{ created, comment }];
    const composed = composeImage({ platform, created, config, layers: [{ diffId, blob }], history });
    // Whiteouts, of which an archive of a whole file system should have none, hide nothing and must not show.
    const image = await addImage(store, composed, [diffId], name, adding);
    tell('done', blob.size, blob.size);
    return image;
  });
}

async function importLayer(
  source: ImportSource,
  parts: ImportParts,
  adding: Adding,
  onProgress: (read: number, total?: number) => void,
): Promise<LayerRecord> {
  const { store, limits } = parts;
  const { signal } = adding;
  const opened = await openSource(source, parts, signal);
  const temporary = await store.makeTemporary();
  try {
    const draft = join(temporary.path, 'blob');
    const record = await unpackLayer({
      source: bytesOf(opened.bytes, opened.name),
      blobFile: draft,
      folder: temporary.path,
      lockFd: temporary.lock.fd,
      ...(limits ? { limits } : {}),
      onProgress: ({ read }) => onProgress(read, opened.total),
      signal,
    });
    if (record.blob.size === 0) {
      throw new DinghyError({
        code: 'ERR_LAYER',
        message: `cannot import ${opened.name}: it is empty, not even an empty archive`,
      });
    }
    await keepLayer(store, { folder: temporary.path, blobFile: draft, record }, adding);
    return record;
  } catch (error) {
    throw withCure(error);
  } finally {
    // One that failed half-way, or fell silent, would stay open.
    (opened.bytes as { destroy?: () => void }).destroy?.();
    await temporary.remove();
  }
}

interface OpenedSource {
  bytes: AsyncIterable<Buffer | string>;
  name: string;
  total?: number;
}

async function openSource(source: ImportSource, { rootless }: ImportParts, signal: AbortSignal): Promise<OpenedSource> {
  if (typeof source !== 'string') {
    return { bytes: source, name: 'the stream' };
  }
  const path = resolve(source);
  const stats = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (!stats.isDirectory()) {
    const total = stats.isFile() ? { total: stats.size } : {};
    const bytes = createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>;
    return { bytes, name: path, ...total };
  }
  const fields = { folder: path, ...(rootless ? { rootless } : {}) };
  return { bytes: await packTree({ fields, doing: `cannot pack the folder ${path}`, signal }), name: path };
}

/** The chunks as they should be; what the source throws is told as the reason of ours. */
async function* bytesOf(source: AsyncIterable<Buffer | string>, name: string): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of source) {
      yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    }
  } catch (error) {
    throw isDinghyError(error) ? error : unreadable(name, error);
  }
}

function unreadable(name: string, error: unknown): DinghyError {
  return new DinghyError({
    code: 'ERR_ARCHIVE',
    message: `cannot import ${name}: it cannot be read: ${(error as Error | undefined)?.message ?? String(error)}`,
    details: { path: name },
    cause: error,
  });
}

/** Docker decompresses these too; here they'd have to be kept in a form that no registry takes. */
function withCure(error: unknown): unknown {
  const packer = isDinghyError(error) && error.step === 'inflate' && /\b(xz|bzip2) is no/.exec(error.message)?.[1];
  if (!packer) {
    return error;
  }
  return new DinghyError({
    code: 'ERR_LAYER',
    message: `cannot import an archive compressed by ${packer}: decompress it first (${packer} -dc FILE | dinghy import -)`,
    step: 'inflate',
    cause: error,
  });
}
