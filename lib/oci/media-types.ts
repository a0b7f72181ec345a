export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
} as const;

/** What is asked of a registry; the last lets a server answer that ignores the rest. */
export const acceptedManifests = [
  mediaTypes.ociManifest,
  mediaTypes.ociIndex,
  mediaTypes.dockerManifest,
  mediaTypes.dockerList,
  '*/*',
].join(', ');

const layerForms = [
  /^application\/vnd\.oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(?:gzip|zstd))?$/,
  /^application\/vnd\.docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.(?:gzip|zstd))?$/,
];

export function isManifestType(type: string): boolean {
  return type === mediaTypes.ociManifest || type === mediaTypes.dockerManifest;
}

export function isIndexType(type: string): boolean {
  return type === mediaTypes.ociIndex || type === mediaTypes.dockerList;
}

export function isConfigType(type: string): boolean {
  return type === mediaTypes.ociConfig || type === mediaTypes.dockerConfig;
}

export function isLayerType(type: string): boolean {
  return layerForms.some((form) => form.test(type));
}

/** What an OCI manifest calls a layer that may come from a Docker image: the bytes are the same. */
export function ociLayerType(type: string): string {
  const docker = /^application\/vnd\.docker\.image\.rootfs\.(foreign\.)?diff\.tar(?:\.(gzip|zstd))?$/.exec(type);
  if (!docker) {
    return type;
  }
  const [, foreign, compression] = docker;
  const tar = foreign ? mediaTypes.ociLayer.replace('.v1.', '.nondistributable.v1.') : mediaTypes.ociLayer;
  return compression === undefined ? tar : `${tar}+${compression}`;
}

/** Schema 1, signed or not: it has no diff ids, so what it unpacks to can't be verified. */
export function isSchema1Type(type: string): boolean {
  return /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/.test(type);
}

/** `type/subtype` in lower case without parameters. */
export function bareMediaType(header: string | undefined): string {
  return (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
