import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { parseChallenges } from '../../../lib/registry/challenge';
import { findCredentials } from '../../../lib/registry/credentials';
import { parseRegistriesConf } from '../../../lib/registry/registries-conf-parser';
import { again, fuzzTimeoutMs, mutate, onlyTypedErrors, pick } from '../../support/fuzz';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

const isText = (value: unknown): boolean => value === undefined || typeof value === 'string';

describe('what stands in a header or in somebody’s file gives a value or a typed error', () => {
  it(
    'challenges, of which each has a scheme and texts',
    async () => {
      const headers = [
        'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull"',
        'Basic realm="a \\"quoted\\" one", charset=UTF-8, Bearer realm=x, error="invalid_token"',
        'Negotiate abc==, Basic __proto__="x", constructor=y',
      ];
      await again(5000, async () => {
        const header = mutate(pick(headers)).toString();
        const challenges = await onlyTypedErrors(header, () => parseChallenges(header));
        for (const { scheme, parameters } of challenges!) {
          expect(scheme).not.toBe('');
          expect(Object.getPrototypeOf(parameters)).toBe(Object.prototype);
          expect(Object.values(parameters).every(isText)).toBe(true);
        }
      });
    },
    fuzzTimeoutMs,
  );

  it(
    'registries.conf, whose settings are texts and flags',
    async () => {
      const file = [
        'unqualified-search-registries = ["docker.io"]',
        '[[registry]]',
        'prefix = "example.com"',
        "location = 'mirror.example.com:5000/path' # a comment",
        'insecure = true',
        '[[registry.mirror]]',
        'location = "other.example.com"',
        '[aliases]',
      ].join('\n');
      await again(5000, async () => {
        const text = mutate(file).toString();
        const entries = await onlyTypedErrors(text, () => parseRegistriesConf(text, 'registries.conf'));
        for (const { prefix, location, mirrors } of entries ?? []) {
          expect([prefix, location, ...mirrors.map((each) => each.location)].every(isText)).toBe(true);
        }
      });
    },
    fuzzTimeoutMs,
  );

  it(
    'credential files, out of which only texts come',
    async () => {
      const folder = temporaryFolder('fuzz');
      const path = join(folder, 'config.json');
      const auth = Buffer.from('name:secret').toString('base64');
      const file = JSON.stringify({
        auths: {
          'registry.example': { auth, email: 'x' },
          'https://index.docker.io/v1/': { auth },
          'registry.example/a': { username: 'u', password: 'p', identitytoken: 't', registrytoken: 'r' },
        },
        HttpHeaders: { 'User-Agent': 'x' },
      });
      // Helpers are looked for nowhere: what a damaged file names must not be run by a test.
      const env = { REGISTRY_AUTH_FILE: path, PATH: folder };
      try {
        await again(1500, async () => {
          const bytes = mutate(file);
          writeFileSync(path, bytes);
          const registry = pick(['registry.example', 'docker.io']);
          const found = await onlyTypedErrors(bytes, () => findCredentials(registry, 'a/b', { env, home: folder }));
          expect(Object.values(found ?? {}).every(isText)).toBe(true);
        });
      } finally {
        removeFolder(folder);
      }
    },
    fuzzTimeoutMs,
  );
});
