import { readFileSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { pullImage } from '../../lib/pull/pull';
import { pushImage, type PushOptions } from '../../lib/push/push';
import type { RegistryClientOptions } from '../../lib/registry/client';
import type { StoredImage } from '../../lib/store/images';
import { Store } from '../../lib/store/store';
import type { BlobProgress } from '../../lib/util/progress';
import {
  type BuiltImage,
  buildImage,
  buildLayer,
  randomBytes,
  randomImage,
  seededRandom,
} from '../support/random-image';
import { TestRegistry } from '../support/registry';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';
import { until } from '../support/until';

let source: TestRegistry;
let target: TestRegistry;
let folder: string;
let store: Store;

beforeAll(async () => {
  [source, target] = await Promise.all([TestRegistry.start(), TestRegistry.start()]);
});
beforeEach(() => {
  source.clear();
  target.clear();
  folder = temporaryFolder('push');
  store = new Store({ root: join(folder, 'root') });
});
afterEach(async () => {
  await store.close();
  removeFolder(folder);
});
afterAll(() => Promise.all([source.stop(), target.stop()]));

const parts = (more: RegistryClientOptions = {}): { store: Store; registry: RegistryClientOptions } => ({
  store,
  registry: { retry: { baseMs: 5 }, env: { HOME: folder }, ...more },
});
const coded = (code: string, message = /./): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

const small = randomImage(71, { layers: 3 });
const big = buildImage([
  buildLayer([{ name: 'big', content: randomBytes(seededRandom(8), 3 * 1024 * 1024) }], false),
  buildLayer([{ name: 'small', content: 's' }]),
]);
const bigLayer = big.layers[0]!;

async function here(image: BuiltImage, name = 'from/app:1'): Promise<StoredImage> {
  return pullImage(source.addImage(name, image), parts());
}

async function push(image: StoredImage, name = 'to/app:2', options: PushOptions = {}): Promise<void> {
  await pushImage(image, `${target.host}/${name}`, parts(), options);
}

function expectThere(image: BuiltImage, repository = 'to/app', tag = '2'): void {
  expect(target.manifest(repository, tag)?.equals(image.manifest)).toBe(true);
  for (const [digest, bytes] of image.blobs) {
    expect(target.blob(repository, digest)?.equals(bytes)).toBe(true);
  }
  expect(target.uploads.open).toBe(0);
}

const asked = (method: string, path = /./): number =>
  target.seen.filter((request) => request.method === method && path.test(request.path)).length;

describe('a push', () => {
  it('gives the registry what it lacks, once, and the exact manifest last', async () => {
    const image = await here(small);
    const seen: BlobProgress[] = [];
    await push(image, 'to/app:2', { onProgress: (progress) => seen.push(progress) });
    expectThere(small);
    expect(target.seen.at(-1)).toMatchObject({ method: 'PUT', path: '/v2/to/app/manifests/2' });
    expect(target.seen.at(-1)?.headers['content-type']).toBe('application/vnd.oci.image.manifest.v1+json');
    expect(asked('POST')).toBe(4); // config and three layers
    const phases = seen.filter(({ digest }) => digest === small.layers[0]?.digest).map(({ phase }) => phase);
    expect([...new Set(phases)]).toEqual(['uploading', 'done']);
    const total = [...small.blobs.values()].reduce((sum, blob) => sum + blob.length, 0);
    expect(seen.at(-1)).toMatchObject({ phase: 'done', overall: { current: total, total } });

    target.seen.length = seen.length = 0;
    await push(image, 'to/app:3', { onProgress: (progress) => seen.push(progress) });
    expect(asked('POST')).toBe(0);
    expect(new Set(seen.flatMap(({ digest, phase }) => (digest ? [phase] : [])))).toEqual(new Set(['exists']));
    expectThere(small, 'to/app', '3');
  });

  it('goes where its only name says, or by digest', async () => {
    const image = await here(small, 'app:1');
    await pushImage(image, undefined, parts());
    await push(image, `to/app@${small.digest}`);
    expectThere(small, 'to/app', small.digest);
    await expect(push(image, `to/app@${big.digest}`)).rejects.toEqual(
      coded('ERR_INVALID_REFERENCE', /the digest of this/),
    );
    await store.references.set(`${target.host}/a:1`, (await store.references.list())[0]!.manifest);
    const twice = await store.images.read(image.digest);
    await expect(pushImage(twice, undefined, parts())).rejects.toEqual(coded('ERR_INVALID_OPTION', /2 names: .*\/a:1/));
    await expect(pushImage({ ...twice, references: [] }, undefined, parts())).rejects.toEqual(
      coded('ERR_INVALID_OPTION', /no name/),
    );
  });

  it('takes what another repository of the registry has from there', async () => {
    const image = await here(small);
    await push(image, 'one/app:1');
    await store.references.set(`${target.host}/one/app:1`, (await store.references.list())[0]!.manifest);
    await store.references.set(`${target.host}/never/pushed:1`, (await store.references.list())[0]!.manifest);
    target.seen.length = 0;
    target.faults = { auth: 'bearer' };
    await push(image, 'two/app:1');
    expectThere(small, 'two/app', '1');
    expect(asked('PATCH')).toBe(0);
    const mounts = target.seen
      .filter(({ query }) => query.get('from') === 'one/app')
      .map(({ query }) => query.get('mount'));
    expect(new Set(mounts)).toEqual(new Set(small.blobs.keys()));
    const scopes = target.seen.filter(({ path }) => path === '/token').map(({ query }) => query.getAll('scope'));
    expect(scopes).toContainEqual(['repository:two/app:pull,push', 'repository:one/app:pull']);
  });

  it('uploads where nothing is mounted, with the session it was given', async () => {
    const image = await here(small);
    await store.references.set(`${target.host}/never/pushed:1`, (await store.references.list())[0]!.manifest);
    await push(image);
    expectThere(small);
    expect(asked('POST')).toBe(4);
    expect(target.seen.filter(({ query }) => query.get('from') === 'never/pushed')).toHaveLength(4);
  });

  it.each(['relative', 'absolute'] as const)('follows a %s Location, its query as it is spelled', async (location) => {
    target.uploads.faults = { location };
    await push(await here(small));
    expectThere(small);
  });

  it('sends chunks as the registry keeps them', async () => {
    target.uploads.faults = { keep: 1_000_000 };
    await push(await here(big));
    expectThere(big);
    const ranges = target.seen
      .map((request) => request.headers['content-range'])
      .filter((range) => /\d{5}$/.test(range ?? ''));
    const last = bigLayer.blob.length - 1;
    expect(ranges).toEqual([0, 1, 2, 3].map((part) => `${part * 1_000_000}-${last}`));
  });

  it.each([
    ['its own', undefined, 1_000_000],
    ["the registry's least", 2_000_000, 2_000_000],
  ])('sends chunks of %s size', async (_whose, minimum, size) => {
    target.uploads.faults = { minimum };
    const image = await here(big);
    await pushImage(image, `${target.host}/to/app:2`, parts({ chunkBytes: 1_000_000 }));
    expectThere(big);
    const sizes = target.seen
      .filter(({ method }) => method === 'PATCH')
      .map(({ headers }) => Number(headers['content-length']))
      .filter((length) => length > 10_000);
    const full = Math.floor(bigLayer.blob.length / size);
    expect(sizes).toEqual([...Array<number>(full).fill(size), bigLayer.blob.length % size]);
  });

  it.each([404, 405] as const)('sends all at once where PATCH is answered with %i', async (patch) => {
    target.uploads.faults = { patch };
    await push(await here(big));
    expectThere(big);
  });

  it('gets one token for all, with and without OAuth, and a new one when it runs out', async () => {
    const image = await here(small);
    for (const oauth of [true, false]) {
      target.clear();
      target.faults = { auth: 'bearer', username: 'u', password: 'p', oauth };
      await push(image, 'to/app:2', { auth: { username: 'u', password: 'p' } });
      expectThere(small);
      expect(asked(oauth ? 'POST' : 'GET', /^\/token$/)).toBe(1);
    }
    target.clear();
    target.faults = { auth: 'bearer', tokenLifetimeSeconds: 0.3, tellExpiry: false };
    target.uploads.faults = { slowMs: 350 };
    await push(await here(big, 'big:1'));
    expectThere(big);
    expect(asked('GET', /^\/token$/)).toBeGreaterThan(1);
  });
});

describe('a push goes on', () => {
  it('where the line was cut', async () => {
    target.uploads.faults = { cut: { afterBytes: 1_200_000, times: 2 } };
    await push(await here(big));
    expectThere(big);
    const ranges = target.seen
      .map((request) => request.headers['content-range'])
      .filter((range) => /\d{5}$/.test(range ?? ''));
    expect(ranges.length).toBeLessThanOrEqual(4);
    expect(Number(/^\d+/.exec(ranges.at(-1) ?? '')?.[0])).toBeGreaterThanOrEqual(1_200_000);
  });

  it('with a new session when the old one is gone', async () => {
    target.uploads.faults = { forget: 2 };
    await push(await here(big));
    expectThere(big);
  });

  it('when the answer to its end was lost', async () => {
    target.uploads.faults = { loseAnswer: 2 };
    await push(await here(small));
    expectThere(small);
    expect(asked('POST')).toBe(4);
  });

  it.each([500, 503])('after %i', async (status) => {
    target.faults.respond = [
      { path: /blobs\/uploads\/.+/, times: 2, status },
      { path: /blobs\/uploads\/$/, times: 1, status },
      { path: /manifests/, times: 1, status },
    ];
    await push(await here(small));
    expectThere(small);
  });

  it('after 429, as late as it is told to, and after 416 where the registry is', async () => {
    target.faults.respond = [
      { path: /blobs\/uploads\/.+/, times: 1, status: 429, headers: { 'retry-after': '1' } },
      { path: /blobs\/uploads\/.+/, times: 1, status: 416 },
    ];
    const startedAt = performance.now();
    await push(await here(small));
    expect(performance.now() - startedAt).toBeGreaterThan(900);
    expectThere(small);
  });

  it('but not for ever', async () => {
    target.uploads.faults = { cut: { afterBytes: 1000, times: 1000 } };
    await expect(push(await here(big))).rejects.toEqual(coded('ERR_REGISTRY_UNREACHABLE'));
    expect(target.uploads.open).toBe(0);
    expect(target.manifest('to/app', '2')).toBeUndefined();
  });
});

describe('a push fails', () => {
  it.each([
    [401, 'ERR_REGISTRY_AUTH', /log in/],
    [403, 'ERR_REGISTRY_AUTH', /may push to it/],
    [404, 'ERR_REGISTRY', /answered 404/],
    [413, 'ERR_REGISTRY', /nothing of this size/],
    [405, 'ERR_REGISTRY', /answered 405/],
  ])('when a session is answered with %i', async (status, code, message) => {
    target.faults.respond = [{ path: /blobs\/uploads\//, times: 99, status }];
    await expect(push(await here(small))).rejects.toEqual(coded(code, message));
  });

  it('when a piece is too large, and gives the session up', async () => {
    const image = await here(big);
    target.faults.respond = [{ path: /blobs\/uploads\/.+/, times: 1, status: 413 }];
    await expect(push(image)).rejects.toEqual(coded('ERR_REGISTRY', /nothing of this size/));
    expect(target.uploads.open).toBe(0);
    expect(asked('DELETE')).toBeGreaterThan(0);
  });

  it('when the manifest is refused, or stored as something else', async () => {
    const image = await here(small);
    target.faults.respond = [{ path: /manifests/, times: 1, status: 400, body: '' }];
    await expect(push(image)).rejects.toEqual(coded('ERR_REGISTRY', /answered 400/));
    target.uploads.faults = { manifestDigest: big.digest };
    await expect(push(image)).rejects.toEqual(coded('ERR_DIGEST_MISMATCH', /stored the manifest as/));
  });

  it.each(['missing', 'short', 'changed', 'manifest'] as const)('when the image is damaged here: %s', async (how) => {
    const image = await here(small);
    const path = store.blobs.path(small.layers[1]!.digest);
    if (how === 'missing') unlinkSync(path);
    if (how === 'short') truncateSync(path, 10);
    if (how === 'changed') writeFileSync(path, Buffer.from(readFileSync(path).map((byte) => byte ^ 1)));
    if (how === 'manifest') writeFileSync(store.blobs.path(image.digest), '{}');
    await expect(push(image)).rejects.toEqual(coded('ERR_STORE', /pull its image again/));
    expect(target.manifest('to/app', '2')).toBeUndefined();
  });

  it('at once when it is aborted while sessions are begun, and gives those up too', async () => {
    const image = await here(big);
    target.uploads.faults = { beginMs: 400 };
    const controller = new AbortController();
    const running = push(image, 'to/app:2', { signal: controller.signal });
    await until('a session is made', () => target.uploads.open > 0, 10_000);
    const abortedAt = performance.now();
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(performance.now() - abortedAt).toBeLessThan(200);
    await until('all sessions are gone', () => target.uploads.open === 0, 10_000);
    expect(asked('DELETE')).toBeGreaterThan(0);
  });

  it('at once when it is aborted, and gives its sessions up', async () => {
    const image = await here(big);
    target.uploads.faults = { slowMs: 3000 };
    const controller = new AbortController();
    const running = push(image, 'to/app:2', { signal: controller.signal });
    await until('a session is made', () => target.uploads.open > 0, 10_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const abortedAt = performance.now();
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(running).rejects.toMatchObject({ code: 'ABORT_ERR', name: 'AbortError', cause: reason });
    expect(performance.now() - abortedAt).toBeLessThan(200);
    expect(target.uploads.open).toBe(0);
    await expect(push(image, 'to/app:2', { signal: controller.signal })).rejects.toEqual(coded('ABORT_ERR'));
  });

  it('when the progress listener throws', async () => {
    const onProgress = ({ phase }: BlobProgress): void => {
      if (phase === 'uploading') throw new Error('from the listener');
    };
    await expect(push(await here(small), 'to/app:2', { onProgress })).rejects.toThrow('from the listener');
    expect(target.uploads.open).toBe(0);
  });

  it('without following where a registry must not lead', async () => {
    target.faults.respond = [
      { path: /blobs\/uploads\/$/, times: 99, status: 202, headers: { location: 'http://169.254.169.254/upload' } },
    ];
    await expect(push(await here(small))).rejects.toEqual(coded('ERR_REGISTRY_UNSAFE'));
  });
});

it('sends no credentials to another host that a Location names', async () => {
  const image = await here(small);
  const other = await TestRegistry.start();
  try {
    target.faults = { auth: 'basic', username: 'u', password: 'p' };
    target.faults.respond = [
      {
        path: /uploads\/$/,
        times: 999,
        status: 202,
        headers: { location: `http://${other.host}/v2/x/blobs/uploads/1?state=a` },
      },
    ];
    await expect(push(image, 'to/app:2', { auth: { username: 'u', password: 'p' } })).rejects.toBeDefined();
    expect(other.seen.length).toBeGreaterThan(0);
    expect(other.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  } finally {
    await other.stop();
  }
});
