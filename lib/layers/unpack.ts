import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { DinghyError } from '../errors';
import type { Descriptor } from '../oci/descriptor';
import { mediaTypes } from '../oci/media-types';
import type { LayerRecord } from '../store/layers';
import { readChunks } from '../util/files';
import { layerError, type LayerInput, runLayerProcess } from './process';
import type { SettledUnpackLimits } from './unpack-limits';

export interface UnpackOptions {
  /** What the manifest and the config promise. Absent where there are none yet: then what the bytes are is in the record. */
  blob?: Descriptor;
  diffId?: string;
  /** The blob's bytes: from a registry or a process, or undefined when they are to be read from `blobFile`, which is there already. */
  source?: LayerInput;
  /** Where the blob is written, or read from without a `source`. */
  blobFile: string;
  /** An empty folder; `diff/` is made in it. */
  folder: string;
  lockFd: number;
  limits?: SettledUnpackLimits;
  /** What errors say of it: `commit container web`. Default: the unpacking. */
  doing?: string;
  onProgress?: (progress: { read: number; written: number }) => void;
  signal?: AbortSignal;
}

type Found = Pick<LayerRecord, 'implicit' | 'whiteouts' | 'lowerLinks'>;

/**
 * `<folder>/diff` holds the layer in overlay form and is on the disk, and with a `source` the blob is at `blobFile`; the bytes
 * had the digest, size and diff id they should have. One process, one pass. After an error what is in the folder is worthless,
 * and nobody writes there any more.
 * @throws ERR_DIGEST_MISMATCH, ERR_LAYER, ERR_NO_SPACE, ABORT_ERR, and what the source throws
 */
export async function unpackLayer(options: UnpackOptions): Promise<LayerRecord> {
  const { blob, diffId, source, blobFile, limits, lockFd, signal } = options;
  const layerDir = join(options.folder, 'diff');
  await mkdir(layerDir, { mode: 0o755 });
  // Without the right to give files away and to set trusted.* attributes, a layer holds this user's files with user.* ones.
  const rootless = process.geteuid?.() !== 0;
  const found: Found = { implicit: [], whiteouts: [], lowerLinks: [] };
  const reply = await runLayerProcess({
    op: 'unpack',
    fields: {
      ...(source ? { blobFile } : {}),
      layerDir,
      ...(blob ? { mediaType: blob.mediaType } : {}),
      ...(limits ? { limits } : {}),
      expected: {
        ...(blob ? { digest: blob.digest, size: blob.size } : {}),
        ...(diffId === undefined ? {} : { diffId }),
      },
      sync: true,
      ...(rootless ? { userxattr: true, ignoreChown: true } : {}),
    },
    input: source ?? readChunks(blobFile),
    lockFd,
    onEvent: (event) => {
      if (event.event === 'progress') {
        options.onProgress?.({ read: Number(event['read']), written: Number(event['written']) });
      } else if (event.event === 'found') {
        collect(found, event as Partial<Found>);
      }
    },
    ...(signal ? { signal } : {}),
  });
  if (!reply.ok) {
    const doing = options.doing ?? (blob ? `unpack the layer ${blob.digest}` : 'unpack the archive');
    throw layerError(reply.error, doing, blob ? { digest: blob.digest } : {});
  }
  return readResult(reply, found, options);
}

function collect(found: Found, part: Partial<Found>): void {
  for (const key of ['implicit', 'whiteouts'] as const) {
    for (const path of part[key] ?? []) {
      found[key].push(path);
    }
  }
  found.lowerLinks.push(...(part.lowerLinks ?? []));
}

function readResult(reply: Record<string, unknown>, found: Found, { blob, diffId }: UnpackOptions): LayerRecord {
  const digest = String(reply['digest']);
  const unpacked = String(reply['diffId']);
  const size = Number(reply['size']);
  // The binary compares as well; what is stored under a digest is decided here.
  const differs = blob !== undefined && (digest !== blob.digest || size !== blob.size);
  if (differs || (diffId !== undefined && unpacked !== diffId)) {
    throw new DinghyError({
      code: 'ERR_DIGEST_MISMATCH',
      message: `the layer ${blob?.digest ?? digest} is not what it should be: it unpacks to ${unpacked}, not ${diffId}`,
      details: { digest: blob?.digest ?? digest, diffId },
    });
  }
  const mediaType = blob?.mediaType ?? layerMediaType(String(reply['compression']));
  return {
    version: 1,
    diffId: unpacked,
    blob: { digest, mediaType, size },
    diffSize: Number(reply['diffSize']),
    entries: Number(reply['entries']),
    ...found,
  };
}

function layerMediaType(compression: string): string {
  return compression === 'none' ? mediaTypes.ociLayer : `${mediaTypes.ociLayer}+${compression}`;
}
