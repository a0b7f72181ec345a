import { join } from 'node:path';

import { pullImage } from '../../lib/pull/pull';
import { pushImage } from '../../lib/push/push';
import type { StoredImage } from '../../lib/store/images';
import { Store } from '../../lib/store/store';
import { startRegistry } from '../../scripts/lib/registry.js';
import { Forwarder } from '../support/forwarder';
import { buildImage, buildLayer, randomBytes, randomImage, seededRandom } from '../support/random-image';
import type { RealRegistry } from '../support/real-registry';
import { TestRegistry } from '../support/registry';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

const folder = temporaryFolder('push-real');
let source: TestRegistry;
let real: RealRegistry;
let front: Forwarder;
let store: Store;

beforeAll(async () => {
  source = await TestRegistry.start();
  real = await startRegistry();
  front = await Forwarder.start(real.host);
  store = new Store({ root: join(folder, 'root') });
});
beforeEach(() => {
  front.seen.length = 0;
});
afterAll(async () => {
  await store.close();
  await front.stop();
  await real.stop();
  await source.stop();
  removeFolder(folder);
});

const registry = { env: { HOME: folder }, retry: { baseMs: 5 } };
const count = (method: string, status?: number): number =>
  front.seen.filter((each) => each.method === method && (status === undefined || each.status === status)).length;

async function pulledAnew(reference: string): Promise<StoredImage> {
  const fresh = new Store({ root: temporaryFolder('push-real') });
  try {
    return await pullImage(reference, { store: fresh, registry });
  } finally {
    await fresh.close();
    removeFolder(fresh.paths.root);
  }
}

it('has what was pushed with the same digests, takes nothing twice, and mounts', async () => {
  const image = await pullImage(source.addImage('app:1', randomImage(81, { layers: 3 })), { store, registry });
  const name = `${front.host}/one/app:1`;
  await pushImage(image, name, { store, registry });
  expect([count('PATCH'), count('PUT', 201)]).toEqual([4, 5]);
  expect(await pulledAnew(name)).toMatchObject({ id: image.id, digest: image.digest, layers: image.layers });

  front.seen.length = 0;
  await pushImage(image, `${front.host}/one/app:2`, { store, registry });
  expect([count('POST'), count('PATCH'), count('PUT', 201)]).toEqual([0, 0, 1]);

  front.seen.length = 0;
  await store.references.tag(name, image.digest);
  await pushImage(image, `${front.host}/two/app:1`, { store, registry });
  expect([count('POST', 201), count('PATCH'), count('PUT', 201)]).toEqual([4, 0, 1]);
  expect((await pulledAnew(`${front.host}/two/app:1`)).digest).toBe(image.digest);
  await pushImage(image, `${front.host}/two/app@${image.digest}`, { store, registry });
});

it('has an upload that was cut, from the start: this registry keeps nothing of a PATCH that did not end', async () => {
  const layer = buildLayer([{ name: 'big', content: randomBytes(seededRandom(9), 5 * 1024 * 1024) }], false);
  const image = await pullImage(source.addImage('big:1', buildImage([layer])), { store, registry });
  front.cut = { afterBytes: 2 * 1024 * 1024, times: 1 };
  const name = `${front.host}/cut/app:1`;
  await pushImage(image, name, { store, registry });
  expect(front.cut.times).toBe(0);
  expect(count('POST')).toBe(3);
  expect((await pulledAnew(name)).digest).toBe(image.digest);
});
