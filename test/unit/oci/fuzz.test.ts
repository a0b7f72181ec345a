import { isDinghyError } from '../../../lib/errors';
import { parseImageConfig } from '../../../lib/oci/image-config';
import { checkRunnable, parseManifest, selectManifest } from '../../../lib/oci/manifest';
import { parsePlatform } from '../../../lib/oci/platform';
import { canonicalName, familiarName, parseReference } from '../../../lib/oci/reference';
import { randomImage, seededRandom } from '../../support/random-image';

const seed = Number(process.env['FUZZ_SEED'] ?? 20261124);
const rounds = Number(process.env['FUZZ_ROUNDS'] ?? 5000);
const random = seededRandom(seed);
const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;

const tokens = [
  'null',
  '[]',
  '{}',
  '-0',
  '1e400',
  '-1',
  '9007199254740993',
  '""',
  'true',
  '[[[[[[]]]]]]',
  '"sha256:../../x"',
  '{"manifests":[]}',
  '"application/vnd.oci.image.index.v1+json"',
  '{"__proto__":{}}',
  '"\\u0000"',
  '[null,null]',
  '{"size":"7"}',
  '[1,2',
];

/** Text that is nearly a document: pieces are replaced, doubled, dropped, or bytes flipped. */
function mutate(text: string): Buffer {
  let result = text;
  for (let count = 1 + Math.floor(random() * 4); count > 0; count--) {
    const values = [...result.matchAll(/:("[^"]*"|[0-9]+|\[|\{|null|true)/g)];
    const target = pick(values);
    if (!target || random() < 0.2) {
      const at = Math.floor(random() * result.length);
      result =
        result.slice(0, at) +
        pick(['', '"', ',', '{', ']', '\\', String.fromCharCode(random() * 65536)]) +
        result.slice(at + Math.floor(random() * 3));
    } else {
      const end = target.index + (random() < 0.2 ? 1 : target[0].length);
      result = `${result.slice(0, target.index + 1)}${pick(tokens)}${result.slice(end)}`;
    }
  }
  const bytes = Buffer.from(result);
  if (random() < 0.1 && bytes.length > 0) {
    bytes[Math.floor(random() * bytes.length)] = random() * 256;
  }
  return bytes;
}

function onlyTypedErrors(input: unknown, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!isDinghyError(error)) {
      throw new Error(`seed ${seed}: ${JSON.stringify(String(input))} gave ${String(error)}`, { cause: error });
    }
  }
}

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

  it('manifests and indexes', () => {
    for (let round = 0; round < rounds; round++) {
      const bytes = mutate(pick([image.manifest.toString(), list]));
      onlyTypedErrors(bytes, () => {
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
    }
  });

  it('configs', () => {
    for (let round = 0; round < rounds; round++) {
      const bytes = mutate(image.config.toString());
      onlyTypedErrors(bytes, () => parseImageConfig(bytes));
    }
  });

  it('references, which keep their meaning through every spelling', () => {
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
    ];
    for (let round = 0; round < rounds; round++) {
      const text = Array.from({ length: 1 + Math.floor(random() * 7) }, () => pick(pieces)).join('');
      onlyTypedErrors(text, () => {
        const reference = parseReference(text);
        expect(canonicalName(parseReference(canonicalName(reference)))).toBe(canonicalName(reference));
        expect(canonicalName(parseReference(familiarName(reference)))).toBe(canonicalName(reference));
      });
    }
  });
});
