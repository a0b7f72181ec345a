import { addressKind } from '../../../lib/registry/address';
import { parseChallenges } from '../../../lib/registry/challenge';
import { defaultRetry, retryDelayMs } from '../../../lib/registry/retry';
import { checkRealm, checkRedirect } from '../../../lib/registry/url-safety';

describe('parseChallenges', () => {
  it('reads schemes, quoted values and several challenges in one header', () => {
    expect(parseChallenges('Bearer realm="https://a/t?x=1,2",service="s \\"q\\"",scope=repo:a:pull')).toEqual([
      { scheme: 'bearer', parameters: { realm: 'https://a/t?x=1,2', service: 's "q"', scope: 'repo' } },
    ]);
    expect(parseChallenges('Negotiate, BASIC realm="x", Bearer realm="y" , service=z')).toEqual([
      { scheme: 'negotiate', parameters: {} },
      { scheme: 'basic', parameters: { realm: 'x' } },
      { scheme: 'bearer', parameters: { realm: 'y', service: 'z' } },
    ]);
  });

  it('makes nothing of nonsense', () => {
    for (const header of [undefined, '', ',,,', '"', 'Bearer realm="unclosed', '=', '\0']) {
      expect(parseChallenges(header).filter(({ parameters }) => parameters['realm'] !== undefined)).toEqual([]);
    }
    const hostile = parseChallenges('Bearer __proto__="x",realm="y"')[0];
    expect(Object.getPrototypeOf(hostile?.parameters)).toBe(Object.prototype);
  });
});

describe('addressKind', () => {
  it.each([
    ['localhost', 'loopback'],
    ['a.localhost', 'loopback'],
    ['127.1.2.3', 'loopback'],
    ['[::1]', 'loopback'],
    ['[::ffff:127.0.0.1]', 'loopback'],
    ['[::ffff:7f00:1]', 'loopback'],
    ['10.1.2.3', 'private'],
    ['192.168.0.1', 'private'],
    ['[fd00::1]', 'private'],
    ['[64:ff9b::a00:1]', 'private'],
    ['[2002:a9fe:a9fe::]', 'link-local'],
    ['169.254.169.254', 'link-local'],
    ['[fe80::1]', 'link-local'],
    ['0.0.0.0', 'unspecified'],
    ['[::]', 'unspecified'],
    ['8.8.8.8', 'public'],
    ['[2606:4700::1]', 'public'],
    ['registry.example', 'name'],
    ['localhost.example', 'name'],
  ])('%s is %s', (host, kind) => {
    expect(addressKind(host)).toBe(kind);
  });

  it('sees through the spellings that URLs allow', () => {
    for (const text of ['http://0x7f.1/', 'http://2130706433/', 'http://0177.0.0.1/']) {
      expect(addressKind(new URL(text).hostname)).toBe('loopback');
    }
  });
});

describe('what a registry may point to', () => {
  const secure = { url: new URL('https://registry.example/v2/'), insecure: false };
  const from = new URL('https://registry.example/v2/a/blobs/x');

  it.each([
    'http://auth.example/',
    'https://127.0.0.1/',
    'https://10.0.0.1/',
    'https://[::1]/',
    'https://169.254.169.254/',
    'ftp://x/',
    'nonsense',
    '',
  ])('is not the realm %s', (realm) => {
    expect(() => checkRealm(realm, secure)).toThrow(expect.objectContaining({ code: 'ERR_REGISTRY_UNSAFE' }));
  });

  it('is a token server elsewhere over https, as Docker Hub has it', () => {
    expect(
      checkRealm('https://auth.docker.io/token', { url: new URL('https://registry-1.docker.io/v2/'), insecure: false })
        .host,
    ).toBe('auth.docker.io');
    const inHouse = { url: new URL('http://10.0.0.5:5000/v2/'), insecure: true };
    expect(checkRealm('http://10.0.0.5:5000/token', inHouse).port).toBe('5000');
  });

  it('is not plain http, this machine, or a metadata service', () => {
    for (const location of [
      'http://cdn.example/x',
      'https://localhost/x',
      'https://169.254.169.254/x',
      'https://[::]/x',
      'file:///x',
      '//[',
    ]) {
      expect(() => checkRedirect(location, from, secure)).toThrow(
        expect.objectContaining({ code: 'ERR_REGISTRY_UNSAFE' }),
      );
    }
    expect(checkRedirect('https://10.0.0.1/x', from, secure).host).toBe('10.0.0.1');
    expect(checkRedirect('/other', from, secure).href).toBe('https://registry.example/other');
  });
});

describe('retryDelayMs', () => {
  it('doubles, with a tenth of jitter, up to the cap', () => {
    for (const [attempt, least] of [
      [1, 2000],
      [2, 4000],
      [4, 16_000],
    ] as const) {
      const delay = retryDelayMs(defaultRetry, attempt) ?? 0;
      expect(delay).toBeGreaterThanOrEqual(least);
      expect(delay).toBeLessThanOrEqual(least * 1.1);
    }
    expect(retryDelayMs({ ...defaultRetry, tries: 99 }, 50)).toBeLessThanOrEqual(66_000);
    expect(retryDelayMs(defaultRetry, 5)).toBeUndefined();
  });

  it('does what the server asks for, within reason', () => {
    expect(retryDelayMs(defaultRetry, 1, '7')).toBe(7000);
    expect(retryDelayMs(defaultRetry, 1, new Date(50_000).toUTCString(), 20_000)).toBe(30_000);
    expect(retryDelayMs(defaultRetry, 1, new Date(0).toUTCString(), 20_000)).toBe(0);
    expect(retryDelayMs(defaultRetry, 1, '86400')).toBeUndefined();
    expect(retryDelayMs(defaultRetry, 1, 'soon')).toBeGreaterThanOrEqual(2000);
  });
});
