import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { digestOf } from '../../../lib/oci/digest';
import type { Manifest } from '../../../lib/oci/manifest';
import { parseReference } from '../../../lib/oci/reference';
import { RegistryClient, type RegistryClientOptions } from '../../../lib/registry/client';
import type { RegistryAuth } from '../../../lib/registry/credentials';
import { KnownRegistries } from '../../../lib/registry/known-registries';
import type { Repository } from '../../../lib/registry/repository';
import { randomBytes, randomImage, seededRandom } from '../../support/random-image';
import { TestRegistry } from '../../support/registry';

const image = randomImage(7);
const large = randomBytes(seededRandom(3), 3 * 1024 * 1024);
let registry: TestRegistry;
let home: string;
const clients: RegistryClient[] = [];

beforeAll(async () => {
  registry = await TestRegistry.start();
  home = mkdtempSync(join(tmpdir(), `dinghy-registry-${process.pid}-`));
});
beforeEach(() => {
  registry.reset();
  registry.addImage('app:1', image);
  registry.addBlob(large);
});
afterEach(() => {
  clients.splice(0).forEach((client) => client.close());
});
afterAll(async () => {
  await registry.stop();
  await rm(home, { recursive: true, force: true });
});

const env = (): NodeJS.ProcessEnv => ({
  HOME: home,
  REGISTRY_AUTH_FILE: join(home, 'auth.json'),
  CONTAINERS_REGISTRIES_CONF: join(home, 'registries.conf'),
});

async function open(
  options: RegistryClientOptions & { reference?: string; credentials?: RegistryAuth } = {},
): Promise<Repository> {
  const { reference = `${registry.host}/app:1`, credentials, ...more } = options;
  const client = new RegistryClient({ env: env(), retry: { baseMs: 5 }, ...more });
  clients.push(client);
  return client.repository(parseReference(reference), credentials);
}

const descriptorOf = (bytes: Buffer): { mediaType: string; digest: string; size: number } => ({
  mediaType: 'application/octet-stream',
  digest: digestOf(bytes),
  size: bytes.length,
});

async function download(repository: Repository, bytes = large, signal?: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of repository.openBlob(descriptorOf(bytes), signal)) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const coded = (code: string, message = /./): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('how a registry is spoken to', () => {
  const paths = (): string[] => registry.seen.map(({ path }) => path);
  const manifest = '/v2/app/manifests/1';
  const auth = { username: 'u', password: 'p' };

  it('is not asked where nothing is wanted', async () => {
    await (await open()).getManifest('1');
    expect(paths()).toEqual([manifest]);
  });

  it('is what a refusal says', async () => {
    registry.faults = { auth: 'bearer' };
    await (await open()).getManifest('1');
    expect(paths()).toEqual([manifest, '/token', manifest]);
  });

  it('is asked where a refusal says nothing', async () => {
    registry.faults = { auth: 'bearer', respond: [{ path: /manifests/, times: 1, status: 401 }] };
    await (await open()).getManifest('1');
    expect(paths()).toEqual([manifest, '/v2/', '/token', manifest]);
  });

  it('is asked where what others may not see is hidden from them', async () => {
    registry.faults = { auth: 'basic', ...auth, hides: true };
    expect((await (await open({ credentials: auth })).getManifest('1')).digest).toBe(image.digest);
    expect(paths()).toEqual([manifest, '/v2/', manifest]);
  });

  it('leaves an answer as it is where nothing is wanted after all', async () => {
    const repository = await open();
    await expect(repository.getManifest('2')).rejects.toEqual(coded('ERR_IMAGE_NOT_FOUND', /MANIFEST_UNKNOWN/));
    await expect(repository.getManifest('3')).rejects.toEqual(coded('ERR_IMAGE_NOT_FOUND'));
    expect(paths()).toEqual(['/v2/app/manifests/2', '/v2/', '/v2/app/manifests/3']);
  });

  it('is remembered as what it is: a guess is asked about when it fails, and before anything is changed', async () => {
    const known = new KnownRegistries();
    await (await open({ known })).getManifest('1');
    registry.faults = { auth: 'basic', ...auth, hides: true };
    await (await open({ known, credentials: auth })).getManifest('1');
    registry.reset();
    const fresh = new KnownRegistries();
    const found = await (await open({ known: fresh })).getManifest('1');
    const client = new RegistryClient({ env: env(), known: fresh });
    clients.push(client);
    const target = await client.pushTarget(parseReference(`${registry.host}/app:pushed`));
    const manifestOf = { ...found, document: found.document as Manifest };
    await target.putManifest('pushed', manifestOf, new AbortController().signal);
    expect(registry.seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
      `GET ${manifest}`,
      'GET /v2/',
      'PUT /v2/app/manifests/pushed',
    ]);
  });

  it('is asked once by requests that fail together', async () => {
    registry.faults = { auth: 'basic', ...auth, hides: true };
    const repository = await open({ credentials: auth });
    await Promise.all(Array.from({ length: 8 }, () => repository.getManifest('1')));
    expect(registry.count(/^\/v2\/$/)).toBe(1);
  });
});

describe('manifests', () => {
  it('come by tag and by digest', async () => {
    const repository = await open();
    expect((await repository.getManifest('1')).digest).toBe(image.digest);
    expect((await repository.getManifest(image.digest, undefined, image.manifest.length)).bytes).toEqual(
      image.manifest,
    );
    expect(registry.count(/^\/v2\/$/)).toBe(0);
    expect(registry.seen.at(-1)?.headers.accept).toContain('application/vnd.oci.image.index.v1+json');
  });

  it('are verified', async () => {
    registry.faults.corruptManifests = true;
    await expect((await open()).getManifest(image.digest)).rejects.toEqual(coded('ERR_DIGEST_MISMATCH'));
    registry.faults.corruptManifests = false;
    await expect((await open()).getManifest(image.digest, undefined, 5)).rejects.toEqual(
      coded('ERR_DIGEST_MISMATCH', /5 that its descriptor/),
    );
    registry.faults.contentType = 'application/vnd.oci.image.index.v1+json';
    await expect((await open()).getManifest('1')).rejects.toEqual(coded('ERR_INVALID_IMAGE', /came as/));
  });

  it('with an endless error are answered all the same', async () => {
    const headers = { 'content-type': 'application/json' };
    registry.faults.respond = [
      { path: /manifests/, times: 1, status: 404, headers, body: '['.repeat(2 * 1024 * 1024) },
    ];
    await expect((await open()).getManifest('1')).rejects.toEqual(coded('ERR_IMAGE_NOT_FOUND'));
  });

  it('that are not there, or endless, are typed errors', async () => {
    await expect((await open()).getManifest('2')).rejects.toEqual(coded('ERR_IMAGE_NOT_FOUND', /MANIFEST_UNKNOWN/));
    registry.faults.respond = [{ path: /manifests/, times: 1, status: 200, body: ' '.repeat(5 * 1024 * 1024) }];
    await expect((await open()).getManifest('1')).rejects.toEqual(coded('ERR_REGISTRY', /more than 4194304 bytes/));
    registry.faults.respond = [
      {
        path: /manifests/,
        times: 1,
        status: 403,
        headers: { 'content-type': 'application/json' },
        body: '{"errors":[{"code":"DENIED","message":"no\\u001b[31m"}]}',
      },
    ];

    await expect((await open()).getManifest('1')).rejects.toEqual(coded('ERR_REGISTRY_AUTH', /DENIED: no \[31m/));
  });

  it('from a server that is not there fail at once', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    await new Promise((resolve) => taken.close(resolve));
    const startedAt = performance.now();
    const repository = await open({ reference: `127.0.0.1:${port}/app:1` });
    await expect(repository.getManifest('1')).rejects.toEqual(coded('ERR_REGISTRY_UNREACHABLE', /ECONNREFUSED/));
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });
});

describe('blobs', () => {
  it('come whole', async () => {
    expect(large.equals(await download(await open()))).toBe(true);
  });

  it.each(['on', 'off', 'wrong', '416'] as const)('are continued when cut, with Range %s', async (range) => {
    registry.faults = { range, cut: { afterBytes: 1_200_000, times: 2 } };
    expect(large.equals(await download(await open()))).toBe(true);
    const asked = registry.seen.map((request) => request.headers.range).filter(Boolean);
    expect(asked.length).toBeGreaterThan(0);
    if (range === 'on') {
      expect(asked).toEqual(['bytes=1200000-', 'bytes=2400000-']);
    }
  });

  it('are given up on after three tries without progress', async () => {
    registry.faults = { cut: { afterBytes: 1000, times: 100 } };
    await expect(download(await open())).rejects.toEqual(
      coded('ERR_REGISTRY_UNREACHABLE', /more tries brought nothing/),
    );
    expect(registry.count(/blobs/)).toBe(4);
  });

  it('that name other places are fetched from the registry, and from nowhere else', async () => {
    const elsewhere = await TestRegistry.start();
    try {
      const foreign = { ...descriptorOf(randomBytes(seededRandom(4), 100)), urls: [`http://${elsewhere.host}/layer`] };
      await expect(
        (await open({ credentials: { username: 'u', password: 'p' } })).getSmallBlob(foreign),
      ).rejects.toEqual(coded('ERR_IMAGE_NOT_FOUND'));
      expect(elsewhere.seen).toEqual([]);
    } finally {
      await elsewhere.stop();
    }
  });

  it('of another size than promised fail', async () => {
    const repository = await open();
    const short = { ...descriptorOf(large), size: large.length - 1 };
    await expect(
      repository
        .openBlob(short)
        .next()
        .then(() => repository.getSmallBlob(short)),
    ).rejects.toEqual(coded('ERR_DIGEST_MISMATCH', /sent more/));
    const config = { ...descriptorOf(image.config), size: image.config.length + 1 };
    await expect(repository.getSmallBlob(config)).rejects.toEqual(
      coded('ERR_REGISTRY_UNREACHABLE', /of \d+ bytes came/),
    );
  });

  it('that were changed fail', async () => {
    registry.faults.corruptBlobs = true;
    await expect((await open()).getSmallBlob(descriptorOf(image.config))).rejects.toEqual(coded('ERR_DIGEST_MISMATCH'));
  });

  it('stop at once when aborted', async () => {
    registry.faults.slowMs = 50;
    const controller = new AbortController();
    const running = download(await open(), large, controller.signal);
    setTimeout(() => controller.abort(new Error('enough')), 150);
    await expect(running).rejects.toEqual(coded('ABORT_ERR'));
  });
});

describe('patience', () => {
  it('waits as long as Retry-After says, in seconds or as a date', async () => {
    for (const make of [() => '1', () => new Date(Date.now() + 2000).toUTCString()]) {
      registry.faults.respond = [{ path: /manifests/, times: 1, status: 429, headers: { 'retry-after': make() } }];
      const startedAt = performance.now();
      await (await open()).getManifest('1');
      expect(performance.now() - startedAt).toBeGreaterThan(600);
    }
  });

  it('tries five times, then says what it was', async () => {
    registry.faults.respond = [{ path: /manifests/, times: 4, status: 503 }];
    await (await open()).getManifest('1');
    registry.reset();
    registry.faults.respond = [{ path: /manifests/, times: 99, status: 429 }];
    await expect((await open()).getManifest('1')).rejects.toEqual(coded('ERR_REGISTRY_RATE_LIMITED'));
    expect(registry.count(/manifests/)).toBe(5);
  });

  it('gives up at once when asked to wait for hours', async () => {
    registry.faults.respond = [{ path: /manifests/, times: 1, status: 429, headers: { 'retry-after': '7200' } }];
    await expect((await open()).getManifest('1')).rejects.toEqual(coded('ERR_REGISTRY_RATE_LIMITED'));
  });

  it('ends within 200 ms of an abort', async () => {
    registry.faults.respond = [{ path: /manifests/, times: 9, status: 429, headers: { 'retry-after': '60' } }];
    const controller = new AbortController();
    const running = (await open()).getManifest('1', controller.signal);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const abortedAt = performance.now();
    controller.abort();
    await expect(running).rejects.toEqual(coded('ABORT_ERR'));
    expect(performance.now() - abortedAt).toBeLessThan(200);
  });
});

describe('credentials', () => {
  it('get a token for those who have none', async () => {
    registry.faults.auth = 'bearer';
    await (await open()).getManifest('1');
    const asked = registry.seen.find((request) => request.path === '/token');
    expect(asked?.query.get('scope')).toBe('repository:app:pull');
    expect(asked?.headers.authorization).toBeUndefined();
  });

  it('by Basic, given or from a file', async () => {
    registry.faults = { auth: 'basic', username: 'u', password: 'p:w' };
    await (await open({ credentials: { username: 'u', password: 'p:w' } })).getManifest('1');
    await (await open({ auth: { [registry.host]: { username: 'u', password: 'p:w' } } })).getManifest('1');
    const auth = Buffer.from('u:p:w').toString('base64');
    await writeFile(join(home, 'auth.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }));
    await (await open()).getManifest('1');
    await rm(join(home, 'auth.json'));
    await expect((await open()).getManifest('1')).rejects.toEqual(coded('ERR_REGISTRY_AUTH'));
    await expect(
      (await open({ credentials: { username: 'u', password: 'secret!' } })).getManifest('1'),
    ).rejects.toEqual(expect.not.objectContaining({ message: expect.stringContaining('secret!') }));
  });

  it.each([true, false])('by Bearer, where the token server knows OAuth: %s', async (oauth) => {
    registry.faults = { auth: 'bearer', username: 'u', password: 'p', oauth };
    await (await open({ credentials: { username: 'u', password: 'p' } })).getManifest('1');
    expect(registry.seen.filter((request) => request.path === '/token').map((request) => request.method)).toEqual(
      oauth ? ['POST'] : ['POST', 'GET'],
    );
  });

  it.each([400, 401, 404, 405])('by the older way, where OAuth is answered with %i', async (status) => {
    registry.faults = { auth: 'bearer', username: 'u', password: 'p', oauth: true };
    registry.faults.respond = [{ path: /^\/token$/, times: 1, status }];
    await (await open({ credentials: { username: 'u', password: 'p' } })).getManifest('1');
    expect(registry.seen.filter(({ path }) => path === '/token').map(({ method }) => method)).toEqual(['POST', 'GET']);
  });

  it('with what token servers call an access_token, and for as long as they say', async () => {
    registry.faults = { auth: 'bearer' };
    const answer = { path: /^\/token$/, times: 1, status: 200, headers: { 'content-type': 'application/json' } };
    registry.faults.respond = [{ ...answer, body: '{"access_token":"unknown-here","expires_in":300}' }];
    await (await open()).getManifest('1');
    // The registry refused that one, and got another.
    expect(registry.seen.map(({ headers }) => headers.authorization)).toContain('Bearer unknown-here');
    expect(registry.count(/^\/token$/)).toBe(2);
  });

  it('take the challenge from /v2/ where the real request is refused without one', async () => {
    registry.faults = { auth: 'bearer' };
    registry.faults.respond = [{ path: /manifests/, times: 1, status: 401 }];
    await (await open()).getManifest('1');
    expect(registry.count(/manifests/)).toBe(2);
  });

  it.each([
    ['{"expires_in":60}', /without a token/],
    ['{"token":"a b"}', /without a token/],
    ['no json', /without a token/],
    [`{"token":"${'x'.repeat(1024 * 1024)}"}`, /a token of more than 1048576 bytes/],
  ])('fail on a token server that answers %.20s', async (body, message) => {
    registry.faults = { auth: 'bearer' };
    registry.faults.respond = [{ path: /^\/token$/, times: 9, status: 200, body }];
    await expect((await open()).getManifest('1')).rejects.toEqual(
      expect.objectContaining({
        code: expect.stringMatching(/^ERR_REGISTRY/),
        message: expect.stringMatching(message),
      }),
    );
  });

  it('give the password to no server that the token server sends it on to', async () => {
    const other = await TestRegistry.start();
    try {
      registry.faults = { auth: 'bearer', username: 'u', password: 'p' };
      const headers = { location: `http://${other.host}/token` };
      registry.faults.respond = [
        { path: /^\/token$/, times: 1, status: 404 },
        { path: /^\/token$/, times: 1, status: 307, headers },
      ];
      await (await open({ credentials: { username: 'u', password: 'p' } })).getManifest('1').catch(() => undefined);
      expect(other.seen.map((request) => request.headers.authorization)).toEqual([undefined]);
    } finally {
      await other.stop();
    }
  });

  it('are not asked for by POST twice where a redirect would carry the password on', async () => {
    registry.faults = { auth: 'bearer', username: 'u', password: 'p' };
    const headers = { location: 'https://evil.test/token' };
    registry.faults.respond = [{ path: /^\/token$/, times: 9, status: 307, headers }];
    await expect((await open({ credentials: { username: 'u', password: 'p' } })).getManifest('1')).rejects.toEqual(
      coded('ERR_REGISTRY', /answered 307/),
    );
    expect(registry.count(/^\/token$/)).toBe(1);
  });

  it('by identity and by registry token', async () => {
    registry.faults = { auth: 'bearer', username: 'u', password: 'refresh', oauth: true };
    await (await open({ credentials: { identityToken: 'refresh' } })).getManifest('1');
    await expect((await open({ credentials: { registryToken: 'wrong' } })).getManifest('1')).rejects.toEqual(
      coded('ERR_REGISTRY_AUTH'),
    );
  });

  it.each([true, false])(
    'ask for one token when it runs out under 8 requests, whether the server told when (%s)',
    async (tellExpiry) => {
      registry.faults = { auth: 'bearer', tokenLifetimeSeconds: 1, tellExpiry };
      const repository = await open();
      await repository.getManifest('1');
      await new Promise((resolve) => setTimeout(resolve, 1100));
      registry.faults.tokenLifetimeSeconds = 300;
      await Promise.all(Array.from({ length: 8 }, () => download(repository, image.layers[0]?.blob)));
      expect(registry.count(/^\/token$/)).toBe(2);
    },
  );

  it('do not follow a redirect to another origin', async () => {
    const other = await TestRegistry.start();
    try {
      other.addBlob(large);
      registry.faults = { auth: 'basic', username: 'u', password: 'p', redirectBlobs: `http://${other.host}` };
      expect(large.equals(await download(await open({ credentials: { username: 'u', password: 'p' } })))).toBe(true);
      expect(other.seen.map((request) => request.headers.authorization)).toEqual([undefined]);
    } finally {
      await other.stop();
    }
  });

  it.each(['http://169.254.169.254', 'file:///etc', 'http://0.0.0.0:1'])(
    'refuse a redirect to %s',
    async (redirectBlobs) => {
      registry.faults.redirectBlobs = redirectBlobs;
      await expect(download(await open())).rejects.toEqual(coded('ERR_REGISTRY_UNSAFE'));
    },
  );

  it('stop after ten redirects', async () => {
    registry.faults.redirectBlobs = `http://${registry.host}`;
    await expect(download(await open())).rejects.toEqual(coded('ERR_REGISTRY_UNSAFE', /more than 10 times/));
    expect(registry.count(/blobs/)).toBe(11);
  });

  it.each([
    'http://169.254.169.254/token',
    'file:///token',
    'http://[::ffff:169.254.1.1]/',
    'http://10.0.0.1/',
    'http://u:p@localhost/',
  ])('are not sent to the realm %s', async (realm) => {
    registry.faults = { auth: 'bearer', realm };
    await expect((await open({ credentials: { username: 'u', password: 'p' } })).getManifest('1')).rejects.toEqual(
      coded('ERR_REGISTRY_UNSAFE'),
    );
  });
});

describe('mirrors', () => {
  it('are asked first, with ns and without the credentials of the registry they mirror', async () => {
    const credentials = { username: 'u', password: 'p' };
    const repository = await open({ reference: 'app:1', env: { ...env(), DINGHY_MIRROR: registry.host }, credentials });
    registry.addImage('library/app:1', image);
    expect((await repository.getManifest('1')).digest).toBe(image.digest);
    expect(registry.seen.at(-1)?.query.get('ns')).toBe('docker.io');
    expect(registry.seen.every((request) => request.headers.authorization === undefined)).toBe(true);
  });

  it('that lack an image, or lie about it, leave it to the registry', async () => {
    const mirror = await TestRegistry.start();
    try {
      const registries = { [registry.host]: { mirrors: [`${mirror.host}/cache`] } };
      expect((await (await open({ registries })).getManifest('1')).digest).toBe(image.digest);
      mirror.addImage('cache/app:1', image);
      mirror.faults.corruptManifests = true;
      expect((await (await open({ registries })).getManifest(image.digest)).digest).toBe(image.digest);
      expect(mirror.count(/\/v2\/cache\/app\/manifests/)).toBe(2);
    } finally {
      await mirror.stop();
    }
  });

  it('come from registries.conf too', async () => {
    const conf = `unqualified-search-registries = ["x"]\n[[registry]]\nprefix = "example.test"\nlocation = "${registry.host}"\n`;
    await writeFile(join(home, 'registries.conf'), conf);
    try {
      expect((await (await open({ reference: 'example.test/app:1' })).getManifest('1')).digest).toBe(image.digest);
    } finally {
      await rm(join(home, 'registries.conf'));
    }
  });
});
