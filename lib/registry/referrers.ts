import { DinghyError } from '../errors';
import type { Descriptor } from '../oci/descriptor';
import { parseDigest } from '../oci/digest';
import type { JsonObject } from '../oci/json';
import { type Manifest, maxManifestBytes, parseManifest } from '../oci/manifest';
import { acceptedManifests, mediaTypes } from '../oci/media-types';
import type { Connection } from './connection';
import { responseError } from './errors';
import { discard, type HttpResponse, readBody } from './http';

/** Whose list is written, and by which right. */
interface At {
  connection: Connection;
  scope: string;
}

interface Referrer {
  bytes: Buffer;
  digest: string;
  document: Manifest;
}

const maxTries = 5;

/**
 * The tag under which clients keep the list of what refers to a manifest, at registries that don't (distribution-spec, "Referrers Tag
 * Schema"): `sha256-<hex>`, cut to what a tag may be.
 */
export function referrersTag(subject: string): string {
  const { algorithm, hex } = parseDigest(subject);
  return `${algorithm.slice(0, 32)}-${hex.slice(0, 64)}`;
}

/**
 * The list of the subject's referrers has this manifest in it, once, besides what was in it. Where the registry honours conditions (or
 * nobody else writes at this moment) nobody's entry is lost.
 * @throws ERR_REGISTRY when another thing than a list has its tag, or when others keep changing it; what registries answer
 */
export async function addReferrer(at: At, subject: Descriptor, referrer: Referrer, signal: AbortSignal): Promise<void> {
  const tag = referrersTag(subject.digest);
  const doing = `list ${referrer.digest} among the referrers of ${subject.digest} (the image itself has been pushed)`;
  for (let tries = 1; ; tries++) {
    const { list, condition } = await readList(at, tag, doing, signal);
    const bytes = withReferrer(list, referrer);
    if (!bytes) {
      return;
    }
    const response = await put(at, tag, { bytes, condition, doing, signal });
    if (response.status >= 200 && response.status <= 299) {
      await discard(response);
      return;
    }
    // Somebody else has written it meanwhile.
    if (response.status !== 412 || tries === maxTries) {
      throw await responseError(response, doing, 'write');
    }
    await discard(response);
  }
}

async function readList(
  { connection, scope }: At,
  tag: string,
  doing: string,
  signal: AbortSignal,
): Promise<{ list: JsonObject; condition: Record<string, string> }> {
  const path = pathOf(connection, tag);
  const response = await connection.request({ path, headers: { accept: acceptedManifests }, scope, doing, signal });
  if (response.status === 404) {
    await discard(response);
    return {
      list: { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] },
      condition: { 'if-none-match': '*' },
    };
  }
  if (response.status !== 200) {
    throw await responseError(response, doing);
  }
  const bytes = await readBody(response, maxManifestBytes, 'list of referrers');
  if (kindOf(bytes, response) !== mediaTypes.ociIndex) {
    throw new DinghyError({
      code: 'ERR_REGISTRY',
      message: `cannot ${doing}: the tag ${tag}, which is that of the list, names something else at ${connection.endpoint.host}: remove it there`,
      details: { host: connection.endpoint.host },
    });
  }
  const etag = response.header('etag');
  return {
    // Fields that are nothing to us stay as they are.
    list: JSON.parse(bytes.toString('utf8')) as JsonObject,
    condition: etag?.startsWith('"') === true ? { 'if-match': etag } : {},
  };
}

function kindOf(bytes: Buffer, response: HttpResponse): string | undefined {
  try {
    return parseManifest(bytes, response.header('content-type')).mediaType;
  } catch {
    return undefined;
  }
}

/** Undefined when it is in the list already. @throws ERR_REGISTRY when the list would become too long */
function withReferrer(list: JsonObject, { digest, bytes, document }: Referrer): Buffer | undefined {
  const manifests = list['manifests'] as { digest: string }[];
  if (manifests.some((each) => each.digest === digest)) {
    return undefined;
  }
  const { mediaType, annotations, config, artifactType = config.mediaType } = document;
  const entry = {
    mediaType,
    digest,
    size: bytes.length,
    artifactType,
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
  const longer = Buffer.from(JSON.stringify({ ...list, manifests: [...manifests, entry] }));
  if (longer.length > maxManifestBytes) {
    throw new DinghyError({
      code: 'ERR_REGISTRY',
      message: `cannot list ${digest} among the referrers of its subject: the list would have more than ${maxManifestBytes} bytes`,
    });
  }
  return longer;
}

function put(
  { connection, scope }: At,
  tag: string,
  what: { bytes: Buffer; condition: Record<string, string>; doing: string; signal: AbortSignal },
): Promise<HttpResponse> {
  const { bytes, condition, doing, signal } = what;
  return connection.request({
    path: pathOf(connection, tag),
    method: 'PUT',
    headers: { ...condition, 'content-type': mediaTypes.ociIndex, 'content-length': String(bytes.length) },
    body: () => bytes,
    scope,
    doing,
    signal,
  });
}

function pathOf({ endpoint }: Connection, tag: string): string {
  return `${endpoint.repository}/manifests/${tag}`;
}
