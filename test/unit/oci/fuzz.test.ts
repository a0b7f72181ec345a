import { parseDigest } from '../../../lib/oci/digest';
import { parseImageConfig } from '../../../lib/oci/image-config';
import { checkRunnable, parseManifest, selectManifest } from '../../../lib/oci/manifest';
import { parsePlatform } from '../../../lib/oci/platform';
import { canonicalName, familiarName, parseReference } from '../../../lib/oci/reference';
import { again, fuzzTimeoutMs, mutate, onlyTypedErrors, pick, random } from '../../support/fuzz';
import { randomImage } from '../../support/random-image';

const rounds = 5000;

// CVE-2021-21285: a malformed manifest ended the engine.
describe('what comes from a registry gives a value or a typed error', () => {
  const image = randomImage(1);
  const list = JSON.stringify({
    schemaVersion: 2,
    manifests: [
      {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: image.digest,
        size: 1,
        platform: { os: 'linux', architecture: 'amd64' },
      },
    ],
  });
  const config = JSON.stringify({
    ...(JSON.parse(image.config.toString()) as object),
    created: '2026-01-02T03:04:05Z',
    author: 'somebody',
    config: {
      Env: ['A=b'],
      Entrypoint: ['/init'],
      Cmd: ['x'],
      User: '1:2',
      WorkingDir: '/w',
      ExposedPorts: { '80/tcp': {} },
      Volumes: { '/v': {} },
      Labels: { a: 'b' },
      StopSignal: 'SIGTERM',
      Healthcheck: { Test: ['CMD', 'true'], Interval: 1_000_000_000, Retries: 3 },
    },
  });

  it(
    'manifests and indexes',
    async () => {
      await again(rounds, () => {
        const bytes = mutate(pick([image.manifest.toString(), list]));
        return onlyTypedErrors(bytes, () => {
          const parsed = parseManifest(
            bytes,
            pick([undefined, 'application/vnd.oci.image.manifest.v1+json', 'text/plain']),
          );
          if (parsed.kind === 'index') {
            selectManifest(parsed, parsePlatform('linux/amd64'));
          } else {
            checkRunnable(parsed);
          }
        });
      });
    },
    fuzzTimeoutMs,
  );

  it(
    'configs',
    async () => {
      await again(rounds, () => {
        const bytes = mutate(config);
        return onlyTypedErrors(bytes, () => parseImageConfig(bytes));
      });
    },
    fuzzTimeoutMs,
  );

  it(
    'digests, of which none can leave its folder',
    async () => {
      const pieces = [
        'sha256',
        'sha512',
        'md5',
        ':',
        'a'.repeat(64),
        'A'.repeat(64),
        'f'.repeat(128),
        '/',
        '..',
        '\n',
        '',
      ];
      await again(rounds, async () => {
        const text = Array.from({ length: 1 + Math.floor(random() * 5) }, () => pick(pieces)).join('');
        const digest = await onlyTypedErrors(text, () => parseDigest(text));
        expect(digest?.hex ?? '0').toMatch(/^[0-9a-f]+$/);
      });
    },
    fuzzTimeoutMs,
  );

  it(
    'references, which keep their meaning through every spelling',
    async () => {
      const pieces = [
        'nginx',
        ':',
        '/',
        '@',
        '.',
        '-',
        '_',
        'localhost',
        'A',
        '5000',
        `sha256:${'a'.repeat(64)}`,
        'ghcr.io',
        '[::1]',
        '%',
        ' ',
        '\0',
        'é',
        '..',
        '__',
        'a'.repeat(20_000),
      ];
      await again(rounds, () => {
        const text = Array.from({ length: 1 + Math.floor(random() * 7) }, () => pick(pieces)).join('');
        return onlyTypedErrors(text, () => {
          const reference = parseReference(text);
          expect(canonicalName(parseReference(canonicalName(reference)))).toBe(canonicalName(reference));
          expect(canonicalName(parseReference(familiarName(reference)))).toBe(canonicalName(reference));
        });
      });
    },
    fuzzTimeoutMs,
  );
});
