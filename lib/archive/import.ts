import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { DinghyError, isDinghyError } from '../errors';
import { lowerFolders } from '../layers/chain';
import { packTree } from '../layers/pack';
import { unpackLayer } from '../layers/unpack';
import type { SettledUnpackLimits } from '../layers/unpack-limits';
import { chainIds } from '../oci/chain-id';
import { composeImage, type NewImageConfig } from '../oci/compose';
import { digestOf } from '../oci/digest';
import type { Platform } from '../oci/platform';
import type { IdRange } from '../oci/spec-types';
import type { StoredImage } from '../store/images';
import type { LayerRecord } from '../store/layers';
import type { Lease } from '../store/lease';
import type { Store } from '../store/store';
import { throwIfAborted } from '../util/abort';

/** A root file system: the path of a tar archive or a folder, or an archive's bytes. */
export type ImportSource = string | AsyncIterable<Buffer | string>;

export interface ImportParts {
  store: Store;
  /** Told the digests of what came into the store by this, so that it can be undone. */
  added: Set<string>;
  /** Keeps it meanwhile. */
  lease: Lease;
  /** An ordinary user: owners in a folder are seen through his id map. */
  rootless?: { uid: number; gid: number; subuid?: IdRange; subgid?: IdRange };
  limits?: SettledUnpackLimits;
  signal: AbortSignal;
}

export interface ImportSettings {
  /** Canonical; without one the image has no name. */
  name?: string;
  platform: Platform;
  config: NewImageConfig;
  /** Stands in the history. */
  message: string;
  created: Date;
  /** Of the archive, as it's read; `total` where that is known. */
  onProgress: (current: number, total?: number) => void;
}

/**
 * An image of one layer, the archive's content, is in the store; its blob is the archive as it was given. The caller holds the
 * content of the store, and undoes what was added when this fails.
 *
 * The archive is read as a layer is, by the same rules and limits: plain, gzip or zstd.
 * @throws ERR_ARCHIVE, ERR_LAYER, ERR_NO_SPACE, ERR_STORE, ABORT_ERR
 */
export async function importImage(
  source: ImportSource,
  parts: ImportParts,
  settings: ImportSettings,
): Promise<StoredImage> {
  const { store, added, lease, signal } = parts;
  const { diffId, blob } = await importLayer(source, parts, settings);
  const { platform, created, config, message } = settings;
  const image = composeImage({ platform, created, config, layers: [{ diffId, blob, comment: message }] });
  const { descriptor } = image;
  await lease.hold([digestOf(image.config), descriptor.digest], signal);
  for (const bytes of [image.config, image.manifest]) {
    added.add(await store.blobs.write(bytes));
  }
  chainIds([diffId]).forEach((chainId) => added.add(chainId));
  // Whiteouts, of which an archive of a whole file system should have none, hide nothing and must not show.
  await lowerFolders(store, [diffId], signal);
  throwIfAborted(signal);
  if (settings.name !== undefined) {
    await store.references.set(settings.name, descriptor, signal);
  } else {
    await store.references.update((all) =>
      all.some(({ manifest }) => manifest.digest === descriptor.digest) ? all : [...all, { manifest: descriptor }],
    );
  }
  return store.images.read(descriptor.digest);
}

async function importLayer(
  source: ImportSource,
  parts: ImportParts,
  { onProgress }: ImportSettings,
): Promise<LayerRecord> {
  const { store, added, lease, limits, signal } = parts;
  const opened = await openSource(source, parts);
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
    await lease.hold([record.blob.digest, record.diffId, ...chainIds([record.diffId])], signal);
    // What was here before is not this call's to undo.
    if (!(await store.blobs.has(record.blob.digest, record.blob.size))) {
      added.add(record.blob.digest);
    }
    await store.blobs.adopt(draft, record.blob.digest);
    if (!(await store.layers.get(record.diffId))) {
      added.add(record.diffId);
    }
    await store.layers.commit(temporary.path, record);
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

async function openSource(source: ImportSource, { rootless, signal }: ImportParts): Promise<OpenedSource> {
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
