import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { digestOf } from '../../../lib/oci/digest';
import { parseReference } from '../../../lib/oci/reference';
import { RegistryClient, type RegistryClientOptions } from '../../../lib/registry/client';
import type { Repository } from '../../../lib/registry/repository';
import { TestAuthority } from '../../support/certificates';
import { randomImage } from '../../support/random-image';
import { TestRegistry } from '../../support/registry';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

const image = randomImage(62);
const blob = image.layers[0]!.blob;
const folder = temporaryFolder('tls');
let authority: TestAuthority;
let open: TestRegistry;
let guarded: TestRegistry;
const clients: RegistryClient[] = [];

beforeAll(async () => {
  authority = new TestAuthority(folder);
  const server = authority.issue('localhost');
  open = await TestRegistry.start(server);
  guarded = await TestRegistry.start({ ...server, ca: authority.ca, requestCert: true, rejectUnauthorized: true });
});
beforeEach(() => {
  for (const registry of [open, guarded]) {
    registry.clear();
    registry.addImage('app:1', image);
  }
});
afterEach(() => {
  clients.splice(0).forEach((client) => client.close());
  removeFolder(join(folder, '.config'));
});
afterAll(async () => {
  await Promise.all([open.stop(), guarded.stop()]);
  removeFolder(folder);
});

/** By the name in its certificate. */
const named = (registry: TestRegistry): string => registry.host.replace('127.0.0.1', 'localhost');

async function repository(registry: TestRegistry, more: RegistryClientOptions = {}): Promise<Repository> {
  const env = {
    HOME: folder,
    REGISTRY_AUTH_FILE: join(folder, 'none'),
    CONTAINERS_REGISTRIES_CONF: join(folder, 'none'),
  };
  const client = new RegistryClient({ env, retry: { baseMs: 5 }, ...more });
  clients.push(client);
  return client.repository(parseReference(`${named(registry)}/app:1`));
}

function certsFor(registry: TestRegistry, files: Record<string, string>): void {
  const path = join(folder, '.config/containers/certs.d', named(registry));
  mkdirSync(path, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
}

it('refuses a certificate of an authority that nobody named, and says what to do', async () => {
  await expect((await repository(open)).getManifest('1')).rejects.toMatchObject({
    code: 'ERR_REGISTRY_UNREACHABLE',
    message: expect.stringMatching(/not trusted: give the authority as `ca`/),
  });
});

it('takes it with `ca`, with certs.d, and from a registry that is marked insecure', async () => {
  const registries = { [named(open)]: { ca: authority.ca } };
  expect((await (await repository(open, { registries })).getManifest('1')).digest).toBe(image.digest);
  const insecure = { [named(open)]: { insecure: true } };
  expect((await (await repository(open, { registries: insecure })).getManifest('1')).digest).toBe(image.digest);
  certsFor(open, { 'authority.crt': authority.ca });
  expect((await (await repository(open)).getManifest('1')).digest).toBe(image.digest);
});

it('shows the client certificate of certs.d to the registry it is for', async () => {
  certsFor(guarded, { 'authority.crt': authority.ca });
  await expect((await repository(guarded)).getManifest('1')).rejects.toMatchObject({
    code: 'ERR_REGISTRY_UNREACHABLE',
  });
  const client = authority.issue('client');
  certsFor(guarded, { 'me.cert': client.cert, 'me.key': client.key });
  expect((await (await repository(guarded)).getManifest('1')).digest).toBe(image.digest);
});

it('does not follow a redirect from https to http', async () => {
  const plain = await TestRegistry.start();
  try {
    plain.addBlob(blob);
    open.faults.redirectBlobs = `http://${plain.host}`;
    const registries = { [named(open)]: { ca: authority.ca } };
    const descriptor = { mediaType: 'application/octet-stream', digest: digestOf(blob), size: blob.length };
    await expect((await repository(open, { registries })).getSmallBlob(descriptor)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE',
      message: expect.stringMatching(/over plain http/),
    });
    expect(plain.seen).toEqual([]);
  } finally {
    await plain.stop();
  }
});

it('sends no password to a token server over plain http', async () => {
  const plain = await TestRegistry.start();
  try {
    open.faults = { auth: 'bearer', realm: `http://${plain.host}/token` };
    const auth = { [named(open)]: { username: 'u', password: 'p' } };
    const registries = { [named(open)]: { ca: authority.ca } };
    await expect((await repository(open, { registries, auth })).getManifest('1')).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNSAFE',
    });
    expect(plain.seen).toEqual([]);
  } finally {
    await plain.stop();
  }
});
