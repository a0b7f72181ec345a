import { DinghyError } from '../errors';
import { addressKind, isLoopback } from './address';

/** Where the registry itself is, and whether the user said that it may be without TLS. */
export interface TrustedOrigin {
  url: URL;
  insecure: boolean;
}

/**
 * The URL of a token server that the registry names, when credentials may go there. A registry could name the cloud's metadata
 * service or somebody's intranet, and would see by the answer what is there; or a plain http server, and read the password.
 * @throws ERR_REGISTRY_UNSAFE
 */
export function checkRealm(realm: string | undefined, registry: TrustedOrigin): URL {
  const url = parse(realm, registry, 'names a token server');
  if (url.username !== '' || url.password !== '') {
    throw unsafe(registry, 'names a token server with a user name in its URL');
  }
  if (registry.url.protocol === 'https:' && url.protocol !== 'https:') {
    const itself = registry.insecure && url.hostname === registry.url.hostname;
    if (!itself) {
      throw unsafe(
        registry,
        `names the token server ${url.host} over plain ${url.protocol.slice(0, -1)}, which would show the password`,
      );
    }
  }
  const kind = addressKind(url.hostname);
  const sameHost = url.hostname === registry.url.hostname;
  const bothLocal = kind === 'loopback' && isLoopback(registry.url.hostname);
  if (
    kind !== 'public' &&
    kind !== 'name' &&
    !bothLocal &&
    !(sameHost && (registry.insecure || isLoopback(url.hostname)))
  ) {
    throw unsafe(registry, `names a token server at the ${kind} address ${url.hostname}`);
  }
  return url;
}

/**
 * The URL that a redirect leads to, when it may be followed. Private addresses are allowed, since an intranet's registry keeps
 * its blobs there; this machine and link-local (metadata) services are not, except for a registry on this machine.
 * @throws ERR_REGISTRY_UNSAFE
 */
export function checkRedirect(location: string | undefined, from: URL, registry: TrustedOrigin): URL {
  const url = parse(location, registry, 'redirects', from);
  if (
    from.protocol === 'https:' &&
    url.protocol !== 'https:' &&
    !(registry.insecure && url.host === registry.url.host)
  ) {
    throw unsafe(registry, `redirects to ${url.host} over plain http`);
  }
  const kind = addressKind(url.hostname);
  const local = kind === 'loopback' && !isLoopback(registry.url.hostname);
  if (local || kind === 'link-local' || kind === 'unspecified') {
    throw unsafe(registry, `redirects to the ${kind} address ${url.hostname}`);
  }
  return url;
}

function parse(text: string | undefined, registry: TrustedOrigin, what: string, base?: URL): URL {
  let url: URL;
  try {
    url = new URL(text ?? '', base);
  } catch {
    throw unsafe(registry, `${what} with a URL that cannot be read`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw unsafe(registry, `${what} with a URL of the scheme ${JSON.stringify(url.protocol.slice(0, 20))}`);
  }
  return url;
}

function unsafe(registry: TrustedOrigin, why: string): DinghyError {
  return new DinghyError({
    code: 'ERR_REGISTRY_UNSAFE',
    message: `refused to follow the registry ${registry.url.host}: it ${why}`,
  });
}
