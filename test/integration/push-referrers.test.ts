import { join } from 'node:path';

import { digestOf } from '../../lib/oci/digest';
import { mediaTypes } from '../../lib/oci/media-types';
import { pullImage } from '../../lib/pull/pull';
import { pushImage } from '../../lib/push/push';
import { referrersTag } from '../../lib/registry/referrers';
import { Store } from '../../lib/store/store';
import { startRegistry } from '../../scripts/lib/registry.js';
import { type BuiltImage, buildImage, buildLayer, randomImage } from '../support/random-image';
import { TestRegistry } from '../support/registry';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

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
  folder = temporaryFolder('push-referrers');
  store = new Store({ root: join(folder, 'root') });
});
afterEach(async () => {
  await store.close();
  removeFolder(folder);
});
afterAll(() => Promise.all([source.stop(), target.stop()]));

const base = randomImage(61);
const subject = { mediaType: mediaTypes.ociManifest, digest: base.digest, size: base.manifest.length };
const listTag = referrersTag(base.digest);

function referring(name: string, fields: Record<string, unknown> = {}): BuiltImage {
  const about = { subject, annotations: { 'org.example.name': name }, ...fields };
  return buildImage([buildLayer([{ name, content: name }])], {}, about);
}

async function push(image: BuiltImage, tag: string, host = target.host): Promise<void> {
  const registry = { retry: { baseMs: 5 }, env: { HOME: folder } };
  const stored = await pullImage(source.addImage(`from/app:${tag}`, image), { store, registry });
  await pushImage(stored, `${host}/to/app:${tag}`, { store, registry });
}

function listThere(): { manifests: { digest: string }[] } | undefined {
  const bytes = target.manifest('to/app', listTag);
  return bytes && (JSON.parse(bytes.toString()) as { manifests: { digest: string }[] });
}

const entry = (image: BuiltImage, name: string, artifactType: string = mediaTypes.ociConfig): unknown => ({
  mediaType: mediaTypes.ociManifest,
  digest: image.digest,
  size: image.manifest.length,
  artifactType,
  annotations: { 'org.example.name': name },
});

it('names the list after the subject, within the bounds of a tag', () => {
  expect(referrersTag(`sha256:${'a'.repeat(64)}`)).toBe(`sha256-${'a'.repeat(64)}`);
  expect(referrersTag(`sha512:${'b'.repeat(128)}`)).toBe(`sha512-${'b'.repeat(64)}`);
});

it('lists what has a subject under the tag of that, each once, where the registry keeps no lists', async () => {
  const [one, two] = [referring('one'), referring('two', { artifactType: 'application/vnd.example' })];
  await push(one, '1');
  expect(listThere()).toEqual({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [entry(one, 'one')] });
  await push(two, '2');
  await push(one, '3');
  expect(listThere()?.manifests).toEqual([entry(one, 'one'), entry(two, 'two', 'application/vnd.example')]);
});

it('asks for no list where the registry keeps them, or without a subject', async () => {
  target.faults.referrersApi = true;
  await push(referring('one'), '1');
  target.faults.referrersApi = false;
  await push(base, '2');
  const docker = buildImage([], {}, { mediaType: mediaTypes.dockerManifest, subject: 'not an OCI field here' });
  await push(docker, '3');
  expect(target.count(new RegExp(listTag))).toBe(0);
});

it('keeps what others wrote into the list, fields it does not know included', async () => {
  await push(base, 'base');
  const other = { ...subject, artifactType: 'application/vnd.other', 'x-field': { kept: true } };
  const list = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [other], annotations: { mine: 'yes' } };
  target.addManifest(`to/app:${listTag}`, Buffer.from(JSON.stringify(list)));
  const one = referring('one');
  await push(one, '1');
  expect(listThere()).toEqual({ ...list, manifests: [other, entry(one, 'one')] });
});

it('reads the list again when another has written it meanwhile, and so loses nobody', async () => {
  const images = ['a', 'b', 'c', 'd'].map((name) => referring(name));
  await Promise.all(images.map((image, index) => push(image, `${index}`)));
  expect(new Set(listThere()?.manifests.map(({ digest }) => digest))).toEqual(new Set(images.map((one) => one.digest)));

  target.faults.respond = [{ path: new RegExp(listTag), method: 'PUT', times: 1, status: 412 }];
  await push(referring('e'), 'e');
  expect(listThere()?.manifests).toHaveLength(5);
  target.faults.respond = [{ path: new RegExp(listTag), method: 'PUT', times: 99, status: 412 }];
  await expect(push(referring('f'), 'f')).rejects.toMatchObject({ code: 'ERR_REGISTRY' });
});

it('leaves alone what is no list, and says that the image is there', async () => {
  target.addManifest(`to/app:${listTag}`, base.manifest);
  const one = referring('one');
  await expect(push(one, '1')).rejects.toMatchObject({
    code: 'ERR_REGISTRY',
    message: expect.stringMatching(/image itself has been pushed.*names something else/),
  });
  expect(target.manifest('to/app', listTag)?.equals(base.manifest)).toBe(true);
  expect(target.manifest('to/app', '1')?.equals(one.manifest)).toBe(true);
});

it('refuses a subject that is no descriptor', async () => {
  const wrong = referring('one', { subject: { ...subject, digest: 'sha256:../../x' } });
  await expect(push(wrong, '1')).rejects.toMatchObject({ code: 'ERR_INVALID_DIGEST' });
});

it('does so at a registry as it is run everywhere', async () => {
  const real = await startRegistry();
  try {
    const [one, two] = [referring('one'), referring('two')];
    await push(base, 'base', real.host);
    await push(one, '1', real.host);
    await push(two, '2', real.host);
    const answer = await fetch(`http://${real.host}/v2/to/app/manifests/${listTag}`, {
      headers: { accept: mediaTypes.ociIndex },
    });
    expect(answer.headers.get('content-type')).toBe(mediaTypes.ociIndex);
    const bytes = Buffer.from(await answer.arrayBuffer());
    expect(answer.headers.get('docker-content-digest')).toBe(digestOf(bytes));
    expect(JSON.parse(bytes.toString())).toMatchObject({ manifests: [entry(one, 'one'), entry(two, 'two')] });
  } finally {
    await real.stop();
  }
});
