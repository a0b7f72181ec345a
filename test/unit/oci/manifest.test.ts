import { checkRunnable, type Index, type Manifest, parseManifest, selectManifest } from '../../../lib/oci/manifest';
import { mediaTypes } from '../../../lib/oci/media-types';
import { parsePlatform } from '../../../lib/oci/platform';

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const descriptor = (mediaType: string, letter = 'a', more = {}): object => ({
  mediaType,
  digest: digest(letter),
  size: 7,
  ...more,
});
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const manifest = (more = {}): object => ({
  schemaVersion: 2,
  mediaType: mediaTypes.ociManifest,
  config: descriptor(mediaTypes.ociConfig),
  layers: [descriptor(`${mediaTypes.ociLayer}+gzip`, 'b')],
  ...more,
});
const index = (...manifests: object[]): object => ({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });

describe('parseManifest', () => {
  it('reads manifests and indexes of both families', () => {
    expect(parseManifest(bytes(manifest()))).toMatchObject({
      kind: 'manifest',
      config: { digest: digest('a'), size: 7 },
    });
    expect(parseManifest(bytes(manifest({ mediaType: undefined })))).toMatchObject({
      mediaType: mediaTypes.ociManifest,
    });
    const docker = manifest({ mediaType: mediaTypes.dockerManifest });
    expect(parseManifest(bytes(docker), `${mediaTypes.dockerManifest}; charset=utf-8`)).toMatchObject({
      kind: 'manifest',
    });
    expect(parseManifest(bytes(index(descriptor(mediaTypes.ociManifest))))).toMatchObject({ kind: 'index' });
    expect(parseManifest(bytes(docker), 'application/octet-stream')).toMatchObject({ kind: 'manifest' });
  });

  // CVE-2021-41190: one document that is an image to one reader and an index to the next.
  it('refuses what could be read in two ways', () => {
    const both = manifest({ manifests: [] });
    expect(() => parseManifest(bytes(both))).toThrow(/both "manifests" and "layers"/);
    expect(() => parseManifest(bytes({ ...index(), config: {} }))).toThrow(/both/);
    expect(() => parseManifest(bytes(manifest()), mediaTypes.ociIndex)).toThrow(/but came as/);
    expect(() => parseManifest(bytes(manifest({ mediaType: mediaTypes.ociIndex })))).toThrow(/don't fit its type/);
    expect(() => parseManifest(bytes(manifest({ mediaType: undefined })), mediaTypes.ociIndex)).toThrow(/don't fit/);
  });

  it.each([
    ['no JSON', Buffer.from('{')],
    ['null', bytes(null)],
    ['an array', bytes([])],
    ['invalid UTF-8', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')])],
    ['too large', Buffer.alloc(4 * 1024 * 1024 + 1, ' ')],
    ['no version', bytes({ layers: [], config: {} })],
    ['no layers', bytes(manifest({ layers: undefined }))],
    ['layers null', bytes(manifest({ layers: null }))],
    ['a negative size', bytes(manifest({ config: { ...descriptor(mediaTypes.ociConfig), size: -1 } }))],
    ['a huge size', Buffer.from(bytes(manifest()).toString().replace('"size":7', '"size":1e400'))],
    ['too many layers', bytes(manifest({ layers: Array(5000).fill(descriptor(mediaTypes.ociLayer)) }))],
    ['a deep nest', Buffer.from('['.repeat(1_000_000))],
  ])('refuses %s', (_name, document) => {
    expect(() => parseManifest(document)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_IMAGE' }));
  });

  it('refuses bad digests, schema 1 and unknown types with their own codes', () => {
    const code = (value: object, type?: string): string => {
      try {
        parseManifest(bytes(value), type);
        return 'none';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(code(manifest({ config: { ...descriptor(mediaTypes.ociConfig), digest: 'sha256:../x' } }))).toBe(
      'ERR_INVALID_DIGEST',
    );
    expect(code({ schemaVersion: 1, fsLayers: [] })).toBe('ERR_UNSUPPORTED_IMAGE');
    expect(code(manifest({ mediaType: 'application/x' }))).toBe('ERR_UNSUPPORTED_IMAGE');
  });
});

describe('checkRunnable', () => {
  const check = (more: object): void => checkRunnable(parseManifest(bytes(manifest(more))) as Manifest);

  it('takes every kind of layer that can be unpacked', () => {
    for (const type of [
      mediaTypes.ociLayer,
      `${mediaTypes.ociLayer}+zstd`,
      'application/vnd.docker.image.rootfs.diff.tar.gzip',
      'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    ]) {
      expect(() => check({ layers: [descriptor(type)] })).not.toThrow();
    }
  });

  it('says what an artifact is', () => {
    expect(() => check({ config: descriptor('application/vnd.cncf.helm.config.v1+json') })).toThrow(/Helm chart/);
    expect(() => check({ config: descriptor('application/vnd.oci.empty.v1+json') })).toThrow(/ORAS/);
    expect(() => check({ layers: [descriptor(`${mediaTypes.ociLayer}+gzip+encrypted`)] })).toThrow(/encrypted/);
    expect(() => check({ layers: [descriptor('application/vnd.in-toto+json')] })).toThrow(/no file system layer/);
  });
});

describe('selectManifest', () => {
  const entry = (letter: string, platform?: object, more = {}): object =>
    descriptor(mediaTypes.ociManifest, letter, { platform, ...more });
  const select = (text: string, ...entries: object[]): string => {
    return selectManifest(parseManifest(bytes(index(...entries))) as Index, parsePlatform(text)).digest;
  };

  it('passes attestations over', () => {
    const attestation = entry('a', { os: 'unknown', architecture: 'unknown' });
    const marked = entry(
      'b',
      { os: 'linux', architecture: 'amd64' },
      { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } },
    );
    expect(select('linux/amd64', attestation, marked, entry('c', { os: 'linux', architecture: 'amd64' }))).toBe(
      digest('c'),
    );
  });

  it('takes a single entry that says nothing, and lists what there is otherwise', () => {
    expect(select('linux/amd64', entry('a'))).toBe(digest('a'));
    expect(() => select('linux/s390x', entry('a', { os: 'linux', architecture: 'amd64' }))).toThrow(/linux\/amd64/);
    expect(() => select('linux/amd64')).toThrow(expect.objectContaining({ code: 'ERR_PLATFORM_NOT_FOUND' }));
  });
});
