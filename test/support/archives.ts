import { digestOf } from '../../lib/oci/digest';
import type { BuiltImage } from './random-image';
import { buildTar, type TarEntry } from './tar-builder';

const folder = (name: string): TarEntry => ({ name, type: '5' });

/** As `docker save` of the engines 1.10 to 24 wrote it, the second and later copies of a layer as links to the first. */
export function dockerArchive(
  images: readonly { image: BuiltImage; tags: readonly string[] }[],
  linkType: '1' | '2' | undefined = undefined,
): TarEntry[] {
  const entries: TarEntry[] = [];
  const places = new Map<string, string>();
  const manifest = images.map(({ image, tags }, at) => {
    const layers = image.layers.map(({ tar, diffId }, index) => {
      const id = digestOf(`${at} ${index}`).slice(7);
      const name = `${id}/layer.tar`;
      const twin = places.get(diffId);
      entries.push(folder(`${id}/`), { name: `${id}/VERSION`, content: '1.0' }, { name: `${id}/json`, content: '{}' });
      if (twin !== undefined && linkType) {
        entries.push({ name, type: linkType, link: linkType === '2' ? `../${twin}` : twin });
      } else {
        entries.push({ name, content: tar });
        places.set(diffId, name);
      }
      return name;
    });
    const config = `${image.configDigest.slice(7)}.json`;
    entries.push({ name: config, content: image.config });
    return { Config: config, RepoTags: tags.length > 0 ? tags : null, Layers: layers };
  });
  return [
    ...entries,
    { name: 'manifest.json', content: JSON.stringify(manifest) },
    { name: 'repositories', content: '{}' },
  ];
}

/** An OCI image layout with these blobs (by digest) and this index. */
export function ociArchive(blobs: ReadonlyMap<string, Buffer>, index: object): TarEntry[] {
  return [
    folder('blobs/'),
    folder('blobs/sha256/'),
    ...[...blobs].map(([digest, content]) => ({ name: `blobs/sha256/${digest.slice(7)}`, content })),
    { name: 'index.json', content: JSON.stringify(index) },
    { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
  ];
}

/** All blobs of an image, its manifest included. */
export function blobsOf(...images: readonly BuiltImage[]): Map<string, Buffer> {
  return new Map(images.flatMap((image) => [...image.blobs, [image.digest, image.manifest]]));
}

export const tarOf = (entries: readonly TarEntry[]): Buffer => buildTar(entries);

/** A zstd frame of raw blocks (RFC 8878 §3.1): Node 20 can't compress with zstd. */
export function zstdFrame(bytes: Buffer): Buffer {
  const blockBytes = 65536;
  const parts: Buffer[] = [Buffer.from('28b52ffd0058', 'hex')];
  for (let at = 0; at < bytes.length || at === 0; at += blockBytes) {
    const block = bytes.subarray(at, at + blockBytes);
    const last = at + blockBytes >= bytes.length ? 1 : 0;
    const header = Buffer.alloc(3);
    header.writeUIntLE(last | (block.length << 3), 0, 3);
    parts.push(header, block);
  }
  return Buffer.concat(parts);
}
