import { chmodSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { findCredentials } from '../../../lib/registry/credentials';
import { login, logout } from '../../../lib/registry/login';
import { TestRegistry } from '../../support/registry';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

let folder: string;
let registry: TestRegistry;
let env: NodeJS.ProcessEnv;
const auth = { username: 'me', password: 'pa:ss' };

beforeAll(async () => {
  registry = await TestRegistry.start();
});
beforeEach(() => {
  folder = temporaryFolder('login');
  mkdirSync(join(folder, 'bin'));
  env = { DOCKER_CONFIG: join(folder, 'docker'), PATH: `${join(folder, 'bin')}:${process.env['PATH']}` };
  registry.reset();
  registry.faults = { auth: 'basic', ...auth };
});
afterEach(() => removeFolder(folder));
afterAll(() => registry.stop());

const path = (): string => join(folder, 'docker/config.json');
const content = (): Record<string, unknown> => JSON.parse(readFileSync(path(), 'utf8')) as Record<string, unknown>;
const configure = (value: object | string): void => {
  mkdirSync(join(folder, 'docker'), { recursive: true });
  writeFileSync(path(), typeof value === 'string' ? value : JSON.stringify(value));
};
const find = (host = registry.host): ReturnType<typeof findCredentials> =>
  findCredentials(host, 'app', { env, home: folder });
const enter = (given: object = auth, host = registry.host): Promise<void> =>
  login(host, given, { env, retry: { baseMs: 5 } });

/** A helper that keeps what it is given in a file for each verb. */
function helper(name: string): void {
  const script = `cat > "${folder}/$1"; [ "$1" != get ] || cat "${folder}/store"`;
  writeFileSync(join(folder, `bin/docker-credential-${name}`), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, `bin/docker-credential-${name}`), 0o755);
}

it.each(['basic', 'bearer'] as const)(
  'keeps what a registry with %s access accepts, closed to others',
  async (kind) => {
    registry.faults.auth = kind;
    await enter();
    expect(await find()).toEqual(auth);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
  },
);

it.each(['basic', 'bearer'] as const)('writes nothing when a registry with %s access refuses', async (kind) => {
  registry.faults.auth = kind;
  await expect(enter({ ...auth, password: 'wrong' })).rejects.toMatchObject({
    code: 'ERR_REGISTRY_AUTH',
    message: expect.not.stringContaining('wrong'),
  });
  expect(statSync(path(), { throwIfNoEntry: false })).toBeUndefined();
});

it('leaves the rest of the file, and a link to it, as they are', async () => {
  mkdirSync(join(folder, 'docker'));
  mkdirSync(join(folder, 'dotfiles'));
  const real = join(folder, 'dotfiles/docker.json');
  writeFileSync(real, JSON.stringify({ detachKeys: 'ctrl-x', auths: { 'other.example': { auth: 'eDp5' } } }));
  symlinkSync(real, path());
  await enter();
  expect(lstatSync(path()).isSymbolicLink()).toBe(true);
  expect(content()).toMatchObject({ detachKeys: 'ctrl-x', auths: { 'other.example': { auth: 'eDp5' } } });
  expect(await logout(registry.host, env)).toBe(true);
  expect(content()).toEqual({ detachKeys: 'ctrl-x', auths: { 'other.example': { auth: 'eDp5' } } });
  expect(await logout(registry.host, env)).toBe(false);
});

it('refuses a damaged file and leaves it alone', async () => {
  configure('{"auths": {"secret');
  await expect(enter()).rejects.toMatchObject({
    code: 'ERR_REGISTRY_AUTH',
    message: expect.not.stringContaining('secret'),
  });
  expect(readFileSync(path(), 'utf8')).toBe('{"auths": {"secret');
});

it.each([
  ['credsStore', { credsStore: 'safe' }],
  ['credHelpers', {}],
])('gives the secret to the helper of %s, and not to the file', async (key, config) => {
  helper('safe');
  configure(key === 'credHelpers' ? { credHelpers: { [registry.host]: 'safe' } } : config);
  await enter();
  const stored = { ServerURL: registry.host, Username: 'me', Secret: 'pa:ss' };
  expect(JSON.parse(readFileSync(join(folder, 'store'), 'utf8'))).toEqual(stored);
  expect(content()['auths']).toEqual({ [registry.host]: {} });
  expect(await find()).toEqual(auth);
  expect(await logout(registry.host, env)).toBe(true);
  expect(readFileSync(join(folder, 'erase'), 'utf8')).toBe(registry.host);
  expect(content()['auths']).toEqual({});
});

it('keeps a bearer token in the file, for a helper can hold none', async () => {
  helper('safe');
  configure({ credsStore: 'safe' });
  registry.faults = {};
  await enter({ registryToken: 'ready' });
  expect(content()['auths']).toEqual({ [registry.host]: { registrytoken: 'ready' } });
  expect(await find()).toEqual({ registryToken: 'ready' });
});

it('finds the helper of Docker Hub under any of its names', async () => {
  helper('safe');
  configure({ credHelpers: { 'index.docker.io': 'safe' } });
  expect(await logout('docker.io', env)).toBe(true);
  expect(readFileSync(join(folder, 'erase'), 'utf8')).toBe('index.docker.io');
});

it('says why the file cannot be written', async () => {
  writeFileSync(join(folder, 'docker'), 'not a folder');
  await expect(enter()).rejects.toMatchObject({ code: 'ERR_STORE', message: expect.stringContaining('docker') });
});

it('calls Docker Hub what Docker calls it', async () => {
  configure({ auths: { 'https://index.docker.io/v1/': { auth: 'eDp5' } } });
  expect(await find('docker.io')).toEqual({ username: 'x', password: 'y' });
  expect(await logout('docker.io', env)).toBe(true);
  expect(await find('docker.io')).toBeUndefined();
});

it('keeps an identity token as Docker does', async () => {
  registry.faults = {};
  await enter({ identityToken: 'idt' });
  expect(content()['auths']).toEqual({ [registry.host]: { auth: 'Og==', identitytoken: 'idt' } });
  expect(await find()).toEqual({ identityToken: 'idt' });
});

it.each([
  ['no credentials', {}],
  ['no password', { username: 'me' }],
  ['an empty password', { username: 'me', password: '' }],
  ['a colon in the name', { username: 'm:e', password: 'x' }],
])('refuses %s before it asks anybody', async (_what, given) => {
  await expect(enter(given)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await expect(enter(auth, 'no host/')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  expect(registry.seen).toEqual([]);
});
