import { inspect } from 'node:util';

import { parseReference } from '../../../lib/oci/reference';
import { RegistryClient, type RegistryClientOptions } from '../../../lib/registry/client';
import { proxyFor } from '../../../lib/registry/proxy';
import type { Repository } from '../../../lib/registry/repository';
import { TestAuthority } from '../../support/certificates';
import { TestProxy } from '../../support/proxy';
import { randomImage } from '../../support/random-image';
import { TestRegistry } from '../../support/registry';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

describe('the proxy for a URL', () => {
  const env = (noProxy: string): NodeJS.ProcessEnv => ({ HTTPS_PROXY: 'http://proxy.test:1', NO_PROXY: noProxy });

  it.each([
    ['https://r.example/', '', true],
    ['https://r.example/', '*', false],
    ['https://r.example/', 'r.example', false],
    ['https://a.r.example/', 'r.example', false],
    ['https://bar.example/', 'r.example', true],
    ['https://r.example/', '.example', false],
    ['https://r.example/', '.r.example', true],
    ['https://a.r.example/', 'x, *.R.example ', false],
    ['https://r.example/', 'r.example:443', false],
    ['https://r.example:5000/', 'r.example:443', true],
    ['https://r.example:5000/', 'r.example:5000', false],
    ['https://10.1.2.3/', '10.0.0.0/8', false],
    ['https://11.1.2.3/', '10.0.0.0/8', true],
    ['https://10.1.2.3/', '10.1.2.3', false],
    ['https://10.1.2.3/', '2.3', true],
    ['https://[fd00::1]/', 'fd00::/8', false],
    ['https://[fd00::1]/', 'fd00::1', false],
    ['https://[fd00::1]:5000/', '[fd00::1]:5000', false],
    ['https://r.example/', 'nonsense/8,,:', true],
    ['https://localhost/', '', false],
    ['https://127.0.0.9:5000/', '', false],
    ['https://[::1]/', '', false],
  ])('%s with NO_PROXY=%j: %s', (url, noProxy, proxied) => {
    expect(proxyFor(new URL(url), env(noProxy))?.host).toBe(proxied ? 'proxy.test:1' : undefined);
  });

  it('is that of the scheme, in capitals before small letters, with or without a scheme of its own', () => {
    const http = new URL('http://r.example/');
    expect(proxyFor(http, { HTTPS_PROXY: 'http://a', ALL_PROXY: 'http://b' })).toBeUndefined();
    expect(proxyFor(http, { http_proxy: 'small.test:3128' })?.href).toBe('http://small.test:3128/');
    expect(proxyFor(http, { HTTP_PROXY: 'https://large.test', http_proxy: 'x' })?.href).toBe('https://large.test/');
    expect(proxyFor(http, { HTTP_PROXY: 'p.test', no_proxy: 'r.example' })).toBeUndefined();
  });

  it.each(['socks5://u:hunter2@p.test', 'http://u:hunter2@', 'http://u:hunter2@p:port'])('%s is refused', (value) => {
    const ask = (): unknown => proxyFor(new URL('http://r.example/'), { HTTP_PROXY: value });
    expect(ask).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(/^HTTP_PROXY/) }),
    );
    expect(ask).toThrow(expect.not.objectContaining({ message: expect.stringContaining('hunter2') }));
  });
});

describe('through a proxy', () => {
  const image = randomImage(61);
  const folder = temporaryFolder('proxy');
  let proxy: TestProxy;
  let plain: TestRegistry;
  let secure: TestRegistry;
  let authority: TestAuthority;
  const clients: RegistryClient[] = [];

  beforeAll(async () => {
    authority = new TestAuthority(folder);
    proxy = await TestProxy.start();
    plain = await TestRegistry.start();
    secure = await TestRegistry.start(authority.issue('secure.test'));
    proxy.places.set('secure.test:443', Number(secure.host.split(':')[1]));
    proxy.places.set('plain.test:5000', Number(plain.host.split(':')[1]));
  });
  beforeEach(() => {
    proxy.reset();
    for (const registry of [plain, secure]) {
      registry.clear();
      registry.addImage('app:1', image);
    }
  });
  afterEach(() => clients.splice(0).forEach((client) => client.close()));
  afterAll(async () => {
    await Promise.all([proxy.stop(), plain.stop(), secure.stop()]);
    removeFolder(folder);
  });

  async function open(host: string, more: RegistryClientOptions = {}): Promise<Repository> {
    const address = `http://me:pa%20ss@${proxy.host}`;
    const client = new RegistryClient({
      env: { HOME: folder, HTTP_PROXY: address, HTTPS_PROXY: address },
      registries: { 'secure.test': { ca: authority.ca }, 'plain.test:5000': { insecure: true } },
      retry: { baseMs: 5 },
      ...more,
    });
    clients.push(client);
    return client.repository(parseReference(`${host}/app:1`));
  }

  const authorization = `Basic ${Buffer.from('me:pa ss').toString('base64')}`;
  const failure = async (running: Promise<unknown>): Promise<Error> => {
    const error = (await running.then(
      () => undefined,
      (each: Error) => each,
    ))!;
    const shown = inspect(error, { depth: 20, showHidden: true });
    expect([shown.includes('pa ss'), shown.includes('pa%20ss'), shown.includes(authorization)]).toEqual([
      false,
      false,
      false,
    ]);
    return error;
  };

  it('https goes in a tunnel, one for several requests, and the proxy learns its own password only', async () => {
    proxy.authorization = authorization;
    const repository = await open('secure.test');
    expect((await repository.getManifest('1')).digest).toBe(image.digest);
    await repository.getManifest('1');
    expect(proxy.seen).toEqual(['CONNECT secure.test:443']);
    expect(secure.seen.every(({ headers }) => headers['proxy-authorization'] === undefined)).toBe(true);
    expect(secure.seen.length).toBe(2);
  });

  it('the certificate is that of the registry, and is checked', async () => {
    const repository = await open('secure.test', { registries: {} });
    expect(await failure(repository.getManifest('1'))).toMatchObject({
      code: 'ERR_REGISTRY_UNREACHABLE',
      message: expect.stringMatching(/not trusted/),
    });
    expect(secure.seen).toEqual([]);
  });

  it('http is asked for by its whole URL', async () => {
    proxy.authorization = authorization;
    const repository = await open('plain.test:5000');
    expect((await repository.getManifest('1')).digest).toBe(image.digest);
    expect(proxy.seen).toContain('GET http://plain.test:5000/v2/app/manifests/1');
    expect(plain.seen.at(-1)?.headers.host).toBe('plain.test:5000');
  });

  it.each(['secure.test', 'plain.test:5000'])(
    '%s: a proxy that wants other credentials is named, without them',
    async (host) => {
      proxy.authorization = 'Basic other';
      expect(await failure((await open(host)).getManifest('1'))).toMatchObject({
        code: 'ERR_REGISTRY_UNREACHABLE',
        message: expect.stringMatching(/the proxy 127\.0\.0\.1:\d+ answered 407 .* user name and a password/),
      });
    },
  );

  it('what a proxy answers is never taken for what the registry says', async () => {
    proxy.answer =
      'HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer realm="https://evil.test/token"\r\ncontent-length: 0\r\n\r\n';
    const repository = await open('secure.test', { auth: { 'secure.test': { username: 'u', password: 'p' } } });
    expect(await failure(repository.getManifest('1'))).toMatchObject({
      code: 'ERR_REGISTRY_UNREACHABLE',
      message: expect.stringMatching(/answered 401 when asked for secure.test:443/),
    });
    expect(new Set(proxy.seen)).toEqual(new Set(['CONNECT secure.test:443']));
  });

  it('a proxy that is not there is named', async () => {
    const env = { HOME: folder, HTTPS_PROXY: 'http://me:pa%20ss@127.0.0.1:1' };
    expect(await failure((await open('secure.test', { env })).getManifest('1'))).toMatchObject({
      code: 'ERR_REGISTRY_UNREACHABLE',
      message: expect.stringMatching(/through the proxy 127\.0\.0\.1:1: ECONNREFUSED/),
    });
  });

  it('an abort ends the wait for a proxy that is silent, and leaves no connection', async () => {
    proxy.silent = true;
    const controller = new AbortController();
    const running = (await open('secure.test')).getManifest('1', controller.signal);
    while (proxy.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const abortedAt = performance.now();
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(performance.now() - abortedAt).toBeLessThan(200);
    clients.splice(0).forEach((client) => client.close());
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(proxy.connected).toBe(0);
  });

  it('tokens are asked for through it too', async () => {
    secure.faults = { auth: 'bearer', realm: 'https://secure.test/token' };
    expect((await (await open('secure.test')).getManifest('1')).digest).toBe(image.digest);
    expect(secure.count(/^\/token$/)).toBe(1);
  });
});
