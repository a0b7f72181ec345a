import { parseDigest } from './digest';
import type { JsonReader } from './json';
import type { Platform } from './platform';

/** Points at content: what it is, its digest, its size in bytes (image-spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Where foreign layers lie. Never followed by itself (CVE-2020-15157). */
  readonly urls?: readonly string[];
  /** The content itself, when it was small enough to be put inline; to be verified like any other. */
  readonly data?: Buffer;
}

/** @throws ERR_INVALID_IMAGE, ERR_INVALID_DIGEST */
export function readDescriptor(reader: JsonReader, value: unknown, field: string): Descriptor {
  const object = reader.object(value, field);
  const digest = reader.string(object['digest'], `${field}.digest`);
  parseDigest(digest);
  const size = reader.count(object['size'], `${field}.size`);
  const annotations = reader.stringMap(object['annotations'], `${field}.annotations`);
  const urls = reader.strings(object['urls'], `${field}.urls`, 64);
  const platform = readPlatform(reader, object['platform'], `${field}.platform`);
  const data = reader.optionalString(object['data'], `${field}.data`);
  return {
    mediaType: reader.string(object['mediaType'], `${field}.mediaType`),
    digest,
    size,
    ...(platform ? { platform } : {}),
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    ...(urls.length > 0 ? { urls } : {}),
    ...(data === undefined ? {} : { data: Buffer.from(data, 'base64') }),
  };
}

function readPlatform(reader: JsonReader, value: unknown, field: string): Platform | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  const object = reader.object(value, field);
  const variant = reader.optionalString(object['variant'], `${field}.variant`);
  return {
    os: reader.optionalString(object['os'], `${field}.os`) ?? '',
    architecture: reader.optionalString(object['architecture'], `${field}.architecture`) ?? '',
    ...(variant === undefined ? {} : { variant }),
  };
}
