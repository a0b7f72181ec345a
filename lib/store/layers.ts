import { readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';

import { digestOfName } from '../oci/digest';
import { JsonReader } from '../oci/json';
import { storeError, syncFolder, unlessMissing, writeFileAtomically } from '../util/files';
import type { StorePaths } from './paths';

/** A hard link to a file that only a lower layer has. */
export interface LowerLink {
  path: string;
  target: string;
}

/**
 * What unpacking a layer told, kept beside its files in `layer.json`. Paths are relative to the layer, its root is `.`; bytes that
 * are not UTF-8 are U+DC80…U+DCFF.
 */
export interface LayerRecord {
  version: 1;
  diffId: string;
  /** Of the blob it came from, and that blob's media type and size: the same files may come in several compressions. */
  blob: { digest: string; mediaType: string; size: number };
  /** Bytes of the uncompressed tar. */
  diffSize: number;
  entries: number;
  /** Paths of folders that had no entry of their own. */
  implicit: string[];
  /** Paths of whiteouts: in a folder that no layer below has they would show as broken entries. */
  whiteouts: string[];
  lowerLinks: LowerLink[];
}

/** Unpacked layers by diff id. A layer that is here is complete, and its files are never changed. */
export class LayerStore {
  readonly #paths: StorePaths;

  constructor(paths: StorePaths) {
    this.#paths = paths;
  }

  /** The folder that overlay mounts. */
  diffFolder(diffId: string): string {
    return join(this.#paths.layer(diffId), 'diff');
  }

  /** The record of a layer that is here, or undefined. @throws ERR_STORE when its layer.json is damaged */
  async get(diffId: string): Promise<LayerRecord | undefined> {
    const path = join(this.#paths.layer(diffId), 'layer.json');
    const bytes = await unlessMissing(readFile(path));
    return bytes && readRecord(bytes, path);
  }

  /**
   * The temporary folder, which holds a finished `diff/`, becomes the layer. When another process was faster its layer stays, and
   * this one is left to be removed.
   */
  async commit(folder: string, record: LayerRecord): Promise<void> {
    const target = this.#paths.layer(record.diffId);
    try {
      await writeFileAtomically(join(folder, 'layer.json'), JSON.stringify(record));
      await rename(folder, target);
      await syncFolder(this.#paths.layers);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if ((code === 'ENOTEMPTY' || code === 'EEXIST') && (await this.get(record.diffId))) {
        return;
      }
      throw storeError(error, `store the layer ${record.diffId}`);
    }
  }

  async list(): Promise<string[]> {
    const names = (await unlessMissing(readdir(this.#paths.layers))) ?? [];
    return names.flatMap((name) => digestOfName(name) ?? []);
  }
}

function readRecord(bytes: Buffer, path: string): LayerRecord {
  const reader = new JsonReader(`${path} is damaged`, 'ERR_STORE');
  const object = reader.parse(bytes, 256 * 1024 * 1024);
  const blob = reader.object(object['blob'], 'blob');
  const links = reader.array(object['lowerLinks'] ?? [], 'lowerLinks', 10_000_000);
  return {
    version: 1,
    diffId: reader.string(object['diffId'], 'diffId'),
    blob: {
      digest: reader.string(blob['digest'], 'blob.digest'),
      mediaType: reader.string(blob['mediaType'], 'blob.mediaType'),
      size: reader.count(blob['size'], 'blob.size'),
    },
    diffSize: reader.count(object['diffSize'], 'diffSize'),
    entries: reader.count(object['entries'], 'entries'),
    implicit: reader.strings(object['implicit'], 'implicit', 10_000_000),
    whiteouts: reader.strings(object['whiteouts'], 'whiteouts', 10_000_000),
    lowerLinks: links.map((each, index) => {
      const link = reader.object(each, `lowerLinks[${index}]`);
      return {
        path: reader.string(link['path'], `lowerLinks[${index}].path`),
        target: reader.string(link['target'], `lowerLinks[${index}].target`),
      };
    }),
  };
}
