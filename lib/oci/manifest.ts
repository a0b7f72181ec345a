import { DinghyError } from '../errors';
import { type Descriptor, readDescriptor } from './descriptor';
import { type JsonObject, JsonReader } from './json';
import {
  bareMediaType,
  isConfigType,
  isIndexType,
  isLayerType,
  isManifestType,
  isSchema1Type,
  mediaTypes,
} from './media-types';
import { choosePlatform, formatPlatform, type Platform } from './platform';

/** What registries must accept as a manifest's size, and more than any real one needs (distribution-spec, "Pushing manifests"). */
export const maxManifestBytes = 4 * 1024 * 1024;

const maxLayers = 4096;
const maxIndexEntries = 4096;

export interface Manifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: Descriptor;
  /** Bottom first. */
  readonly layers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
  /** The manifest that this one says something about (OCI alone has it). */
  readonly subject?: Descriptor;
  /** What it is as an artifact, where that isn't the type of its config. */
  readonly artifactType?: string;
}

export interface Index {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * The image manifest or index that the bytes spell. A document that could be read as both, or whose type contradicts the
 * Content-Type it came with, is refused: two readers of one digest must see one image (CVE-2021-41190).
 * @throws ERR_INVALID_IMAGE, ERR_INVALID_DIGEST, ERR_UNSUPPORTED_IMAGE
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): Manifest | Index {
  const reader = new JsonReader('bad manifest', 'ERR_INVALID_IMAGE');
  const object = reader.parse(bytes, maxManifestBytes);
  const mediaType = decideType(reader, object, bareMediaType(contentType));
  const annotations = reader.stringMap(object['annotations'], 'annotations');
  if (isIndexType(mediaType)) {
    const manifests = reader.array(object['manifests'], 'manifests', maxIndexEntries);
    return {
      kind: 'index',
      mediaType,
      manifests: manifests.map((each, index) => readDescriptor(reader, each, `manifests[${index}]`)),
      annotations,
    };
  }
  const layers = reader.array(object['layers'], 'layers', maxLayers);
  return {
    kind: 'manifest',
    mediaType,
    config: readDescriptor(reader, object['config'], 'config'),
    layers: layers.map((each, index) => readDescriptor(reader, each, `layers[${index}]`)),
    annotations,
    ...(mediaType === mediaTypes.ociManifest ? readReference(reader, object) : {}),
  };
}

/**
 * Returns when a container can be made of this manifest.
 * @throws ERR_UNSUPPORTED_IMAGE for artifacts (Helm charts, signatures), encrypted and unknown layers
 */
export function checkRunnable(manifest: Manifest): void {
  if (!isConfigType(manifest.config.mediaType)) {
    throw unsupported(`it is not a container image: its config is ${describeArtifact(manifest.config.mediaType)}`);
  }
  const strange = manifest.layers.find((layer) => !isLayerType(layer.mediaType));
  if (strange) {
    const why = strange.mediaType.endsWith('+encrypted') ? 'is encrypted' : 'is no file system layer';
    throw unsupported(`its layer ${strange.digest} of type ${JSON.stringify(strange.mediaType.slice(0, 150))} ${why}`);
  }
}

/**
 * The entry of an index that fits the platform best. Entries without a platform or for `unknown/unknown` (attestations
 * that build tools add) are passed over, except that a single plain entry is taken as it is.
 * @throws ERR_PLATFORM_NOT_FOUND, listing what there is
 */
export function selectManifest(index: Index, wanted: Platform): Descriptor {
  const candidates = index.manifests.filter((each) => {
    const plain = isManifestType(each.mediaType) || isIndexType(each.mediaType);
    return plain && !isAttestation(each);
  });
  const found =
    candidates[
      choosePlatform(
        candidates.map((each) => each.platform),
        wanted,
      )
    ];
  if (found) {
    return found;
  }
  const only = candidates[0];
  if (candidates.length === 1 && only && only.platform === undefined) {
    return only;
  }
  const offered = [...new Set(candidates.flatMap((each) => (each.platform ? [formatPlatform(each.platform)] : [])))];
  throw new DinghyError({
    code: 'ERR_PLATFORM_NOT_FOUND',
    message: `no image for ${formatPlatform(wanted)}: ${offered.length > 0 ? `there is ${offered.slice(0, 30).join(', ')}` : 'the index is empty'}`,
    details: { wanted: formatPlatform(wanted), offered },
  });
}

/** What build tools add to an index beside the images. */
export function isAttestation({ platform, annotations }: Descriptor): boolean {
  return platform?.os === 'unknown' || annotations?.['vnd.docker.reference.type'] !== undefined;
}

function readReference(reader: JsonReader, object: JsonObject): Pick<Manifest, 'subject' | 'artifactType'> {
  const subject = object['subject'];
  const artifactType = reader.optionalString(object['artifactType'], 'artifactType');
  return {
    ...(subject === undefined || subject === null ? {} : { subject: readDescriptor(reader, subject, 'subject') }),
    ...(artifactType === undefined ? {} : { artifactType }),
  };
}

function decideType(reader: JsonReader, object: JsonObject, contentType: string): string {
  const inBody = reader.optionalString(object['mediaType'], 'mediaType');
  if (
    object['schemaVersion'] === 1 ||
    isSchema1Type(inBody ?? '') ||
    (inBody === undefined && isSchema1Type(contentType))
  ) {
    throw unsupported('it is a Docker schema 1 manifest, which no registry serves any more: push the image again');
  }
  if (object['schemaVersion'] !== 2) {
    reader.fail('schemaVersion is not 2');
  }
  const looksIndex = object['manifests'] !== undefined;
  const looksManifest = object['layers'] !== undefined || object['config'] !== undefined;
  if (looksIndex && looksManifest) {
    reader.fail('it has both "manifests" and "layers" or "config", so that readers could see different images in it');
  }
  const named = isManifestType(contentType) || isIndexType(contentType);
  if (inBody !== undefined && named && inBody !== contentType) {
    reader.fail(`it says ${JSON.stringify(inBody.slice(0, 150))} but came as ${contentType}`);
  }
  const type = inBody ?? (named ? contentType : looksIndex ? mediaTypes.ociIndex : mediaTypes.ociManifest);
  if (!isManifestType(type) && !isIndexType(type)) {
    throw unsupported(`its type is ${JSON.stringify(type.slice(0, 150))}, neither an image manifest nor an index`);
  }
  if (isIndexType(type) !== looksIndex) {
    reader.fail(`its fields don't fit its type ${type}`);
  }
  return type;
}

function describeArtifact(type: string): string {
  const known: [RegExp, string][] = [
    [/^application\/vnd\.cncf\.helm\./, 'a Helm chart'],
    [/cosign|sigstore/, 'a signature'],
    [/^application\/vnd\.oci\.empty\.v1\+json$/, 'an empty one, as ORAS and other artifact tools write'],
    [/^application\/vnd\.wasm\./, 'a WebAssembly module'],
  ];
  const name = known.find(([form]) => form.test(type))?.[1];
  const shown = JSON.stringify(type.slice(0, 150));
  return name ? `that of ${name} (${shown})` : `of type ${shown}`;
}

function unsupported(why: string): DinghyError {
  return new DinghyError({ code: 'ERR_UNSUPPORTED_IMAGE', message: `cannot use this image: ${why}` });
}
