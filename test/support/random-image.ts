import { gzipSync } from 'node:zlib';

import { digestOf } from '../../lib/oci/digest';
import { mediaTypes } from '../../lib/oci/media-types';
import { buildTar, type TarEntry } from './tar-builder';

/** Numbers that look random and are the same on every run (mulberry32): a failure can be repeated. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomBytes(random: () => number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) {
    bytes[at] = random() * 256;
  }
  return bytes;
}

export interface BuiltLayer {
  tar: Buffer;
  blob: Buffer;
  diffId: string;
  digest: string;
}

export interface BuiltImage {
  manifest: Buffer;
  digest: string;
  config: Buffer;
  configDigest: string;
  layers: BuiltLayer[];
  /** Every blob by digest, the config included. */
  blobs: Map<string, Buffer>;
}

export function buildLayer(entries: readonly TarEntry[], compress = true): BuiltLayer {
  const tar = buildTar(entries);
  const blob = compress ? gzipSync(tar) : tar;
  return { tar, blob, diffId: digestOf(tar), digest: digestOf(blob) };
}

/** A valid image of these layers; `more` goes into its config document, `fields` into its manifest. */
export function buildImage(
  layers: readonly BuiltLayer[],
  more: Record<string, unknown> = {},
  fields: Record<string, unknown> = {},
): BuiltImage {
  const document = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Env: ['PATH=/usr/bin:/bin'], Cmd: ['/bin/true'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map((_layer, index) => ({ created: '2026-01-02T03:04:05Z', created_by: `step ${index}` })),
    ...more,
  };
  const config = Buffer.from(JSON.stringify(document));
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
      layers: layers.map(({ blob, digest, tar }) => ({
        mediaType: blob === tar ? mediaTypes.ociLayer : `${mediaTypes.ociLayer}+gzip`,
        digest,
        size: blob.length,
      })),
      ...fields,
    }),
  );
  const blobs = new Map(layers.map((layer) => [layer.digest, layer.blob]));
  blobs.set(digestOf(config), config);
  return { manifest, digest: digestOf(manifest), config, configDigest: digestOf(config), layers: [...layers], blobs };
}

/** A valid image with random files. */
export function randomImage(
  seed: number,
  options: { layers?: number; filesPerLayer?: number; fileBytes?: number } = {},
): BuiltImage {
  const { layers = 2, filesPerLayer = 3, fileBytes = 4096 } = options;
  const random = seededRandom(seed);
  const built = Array.from({ length: layers }, (_layer, index) => {
    const files = Array.from({ length: filesPerLayer }, (_file, file) => ({
      name: `data-${seed}/${index}-${file}.bin`,
      content: randomBytes(random, fileBytes),
    }));
    return buildLayer([{ name: `data-${seed}/`, type: '5' }, ...files]);
  });
  return buildImage(built);
}
