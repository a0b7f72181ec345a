import { BlockList, isIP } from 'node:net';

import { DinghyError } from '../errors';
import { isLoopback } from './address';

const defaultPorts: Record<string, string> = { 'http:': '80', 'https:': '443' };

/**
 * The proxy to ask for a URL, as Go and so Docker decide it: HTTP_PROXY and HTTPS_PROXY by the URL's scheme, none for this machine and
 * for what NO_PROXY names; in capitals before small letters. ALL_PROXY is not read, as there.
 * @throws ERR_INVALID_OPTION, naming the variable and not its value, which may hold a password
 */
export function proxyFor(url: URL, env: NodeJS.ProcessEnv): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const value = variable(name, env);
  if (value === '' || isLoopback(url.hostname) || isExcepted(url, variable('NO_PROXY', env))) {
    return undefined;
  }
  try {
    const proxy = new URL(value.includes('://') ? value : `http://${value}`);
    if (['http:', 'https:'].includes(proxy.protocol) && proxy.hostname !== '') {
      return proxy;
    }
  } catch {
    // told below
  }
  throw new DinghyError({
    code: 'ERR_INVALID_OPTION',
    message: `${name} names no proxy that can be used: it must be like http://proxy.example:3128 (http or https)`,
  });
}

/** What of the proxy may be shown. */
export function shownProxy(proxy: URL): string {
  return proxy.host;
}

/** The value of Proxy-Authorization that the proxy's URL asks for. */
export function proxyAuthorization({ username, password }: URL): string | undefined {
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return text === ':' ? undefined : `Basic ${Buffer.from(text).toString('base64')}`;
}

function variable(name: string, env: NodeJS.ProcessEnv): string {
  return (env[name] || env[name.toLowerCase()] || '').trim();
}

/** `*`, or a list of `host` (and what is below it), `.domain` (only what is below it), address, range, each with an optional port. */
function isExcepted(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const port = url.port || defaultPorts[url.protocol];
  return list.split(',').some((each) => {
    const entry = each.trim().toLowerCase();
    if (entry === '*') {
      return true;
    }
    if (entry.includes('/')) {
      return isInRange(host, entry);
    }
    const [, bracketed, plain, wanted] = /^(?:\[(.*)\]|([^:]*|[^\]]*:[^\]]*:[^\]]*?))(?::(\d+))?$/.exec(entry) ?? [];
    const name = (bracketed ?? plain ?? '').replace(/^\*(?=\.)/, '');
    const fits = name.startsWith('.')
      ? host.endsWith(name)
      : host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
    return name !== '' && fits && (wanted === undefined || wanted === port);
  });
}

function isInRange(host: string, range: string): boolean {
  const [network = '', prefix = ''] = range.split('/');
  const version = isIP(network);
  if (version === 0 || isIP(host) !== version || !/^\d+$/.test(prefix) || Number(prefix) > (version === 4 ? 32 : 128)) {
    return false;
  }
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, Number(prefix), family);
  return list.check(host, family);
}
