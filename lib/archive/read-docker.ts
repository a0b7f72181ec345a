import { posix } from 'node:path';

import { joinParts } from '../layers/image-parts';
import { isCompressed } from '../layers/inflate';
import type { Descriptor } from '../oci/descriptor';
import { digestOf, digestOfName } from '../oci/digest';
import { parseImageConfig } from '../oci/image-config';
import { JsonReader } from '../oci/json';
import { maxManifestBytes, parseManifest } from '../oci/manifest';
import { mediaTypes } from '../oci/media-types';
import { type ArchiveFile, type ArchiveFiles, headOf, invalidArchive, readDocument } from './files';
import { claimedName, type FoundImage } from './found-image';

const maxImages = 4096;
const maxLayers = 4096;

interface Entry {
  config: string;
  tags: string[];
  layers: string[];
}

/**
 * The images of a Docker archive, as manifest.json lists them. It knows no manifests of images: each gets one that names its layers
 * as they are in the archive, mostly plain tars. The id, which is the config's digest, is what it was.
 * @throws ERR_INVALID_IMAGE, ERR_INVALID_DIGEST
 */
export async function readDockerArchive(files: ArchiveFiles): Promise<FoundImage[]> {
  const found = new Map<string, FoundImage>();
  for (const { config, tags, layers } of await readEntries(files)) {
    const image = await readImage(files, config, layers);
    const { digest } = image.parts.descriptor;
    const known = found.get(digest) ?? image;
    known.names.push(...tags.map((tag) => claimedName(tag, digest)));
    found.set(digest, known);
  }
  return [...found.values()];
}

/** What manifest.json calls images, by the digests of their configs. */
export async function dockerTags(files: ArchiveFiles): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const { config, tags } of (await files.find('manifest.json')) ? await readEntries(files) : []) {
    if (await files.find(config)) {
      const digest = configDigest(config, await readDocument(files, config, maxManifestBytes));
      found.set(digest, [...(found.get(digest) ?? []), ...tags]);
    }
  }
  return found;
}

async function readEntries(files: ArchiveFiles): Promise<Entry[]> {
  const reader = new JsonReader('bad image archive: manifest.json', 'ERR_INVALID_IMAGE');
  const bytes = await readDocument(files, 'manifest.json', maxManifestBytes);
  const value = reader.parseAny(bytes, maxManifestBytes);
  return reader.array(value, 'the document', maxImages).map((each, index) => {
    const object = reader.object(each, `[${index}]`);
    return {
      config: reader.string(object['Config'], `[${index}].Config`),
      tags: reader.strings(object['RepoTags'], `[${index}].RepoTags`, maxImages),
      layers: reader.strings(object['Layers'], `[${index}].Layers`, maxLayers),
    };
  });
}

async function readImage(files: ArchiveFiles, configName: string, layerNames: string[]): Promise<FoundImage> {
  const configBytes = await readDocument(files, configName, maxManifestBytes);
  parseImageConfig(configBytes);
  const layers = new Map<string, ArchiveFile>();
  const descriptors: Descriptor[] = [];
  for (const name of layerNames) {
    const file = await files.find(name);
    if (file?.digest === undefined) {
      throw invalidArchive(`its layer ${JSON.stringify(name.slice(0, 200))} is missing`);
    }
    layers.set(file.digest, file);
    descriptors.push({ mediaType: await layerType(file), digest: file.digest, size: file.size });
  }
  const config = {
    mediaType: mediaTypes.ociConfig,
    digest: configDigest(configName, configBytes),
    size: configBytes.length,
  };
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: descriptors }),
  );
  const manifest = parseManifest(bytes);
  if (manifest.kind !== 'manifest') {
    throw invalidArchive('its manifest can not be made');
  }
  return {
    parts: joinParts({ manifest, bytes, digest: digestOf(bytes) }, configBytes),
    layers,
    names: [],
    madeUp: true,
  };
}

/** Docker's ids are by sha256, whatever the file is called. One by sha512 is told by a name that is that digest. */
function configDigest(name: string, bytes: Buffer): string {
  const long = digestOf(bytes, 'sha512');
  return digestOfName(posix.basename(name, '.json')) === long ? long : digestOf(bytes);
}

async function layerType(file: ArchiveFile): Promise<string> {
  const compression = isCompressed(await headOf(file));
  return compression ? `${mediaTypes.ociLayer}+${compression}` : mediaTypes.ociLayer;
}
