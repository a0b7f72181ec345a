import { DinghyError } from '../errors';
import { isLoopback } from './address';
import type { TlsSettings } from './http';

/** What is known of one registry host beyond its name. */
export interface RegistrySettings {
  /** Hosts, with an optional path, asked before it, in this order. */
  mirrors?: readonly string[];
  insecure?: boolean;
  /** PEM of an authority of its own. */
  ca?: string;
  /** Where it really is, if not at its name (registries.conf `location`): a host with an optional path. */
  location?: string;
  /** Nothing may be fetched from it. */
  blocked?: boolean;
}

/** One server that can answer for a registry. */
export interface Endpoint {
  /** `host[:port]` */
  host: string;
  /** Put before the repository: a mirror may keep the images of others under a path. */
  prefix: string;
  /** The addresses to try, best first; the first that answers like a registry is used. */
  bases: URL[];
  insecure: boolean;
  /** For a mirror, the registry it stands for: sent as `ns`, so that one mirror can serve several. */
  mirrorOf?: string;
  tls: TlsSettings;
}

export interface EndpointOptions {
  settings: (host: string) => RegistrySettings;
  env: NodeJS.ProcessEnv;
  tlsFor: (host: string) => TlsSettings;
}

/**
 * The servers to ask for images of `registry`, in order: its mirrors, then itself.
 * @throws ERR_INVALID_OPTION for a mirror that is no host; ERR_REGISTRY for a blocked registry
 */
export function endpointsFor(registry: string, options: EndpointOptions): Endpoint[] {
  const own = options.settings(registry);
  if (own.blocked) {
    throw new DinghyError({ code: 'ERR_REGISTRY', message: `the registry ${registry} is blocked by registries.conf` });
  }
  const mirrors = [...(own.mirrors ?? [])];
  const variable = options.env['DINGHY_MIRROR'];
  if (registry === 'docker.io' && variable) {
    mirrors.unshift(variable);
  }
  const apiHost = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  return [
    ...mirrors.map((mirror) => makeEndpoint(mirror, options, { mirrorOf: registry })),
    makeEndpoint(own.location ?? apiHost, options, { settings: own }),
  ];
}

function makeEndpoint(
  address: string,
  options: EndpointOptions,
  more: { mirrorOf?: string; settings?: RegistrySettings },
): Endpoint {
  const scheme = /^(https?):\/\//.exec(address)?.[1];
  const bare = address.replace(/^https?:\/\//, '').replace(/\/+$/, '');
  const slash = bare.indexOf('/');
  const host = slash === -1 ? bare : bare.slice(0, slash);
  const prefix = slash === -1 ? '' : `${bare.slice(slash + 1)}/`;
  const hostname = parseHost(host, address).hostname;
  const settings = more.settings ?? options.settings(host);
  const insecure = settings.insecure === true;
  if (scheme === 'http' && !insecure && !isLoopback(hostname)) {
    throw new DinghyError({
      code: 'ERR_INVALID_OPTION',
      message: `the mirror ${host} is named with http://, which is allowed on loopback and for registries marked insecure`,
    });
  }
  const tls = { ...options.tlsFor(host), ...(insecure ? { insecure } : {}) };
  return {
    host,
    prefix,
    bases: schemes(scheme, hostname, insecure).map((each) => new URL(`${each}://${host}/v2/`)),
    insecure,
    ...(more.mirrorOf === undefined ? {} : { mirrorOf: more.mirrorOf }),
    tls: settings.ca ? { ...tls, ca: [...(tls.ca ?? []), settings.ca] } : tls,
  };
}

// On loopback nobody listens in, and what serves there is nearly always plain; elsewhere only the user's word allows http.
function schemes(given: string | undefined, hostname: string, insecure: boolean): string[] {
  if (given !== undefined) {
    return [given];
  }
  if (isLoopback(hostname)) {
    return ['http', 'https'];
  }
  return insecure ? ['https', 'http'] : ['https'];
}

function parseHost(host: string, address: string): URL {
  try {
    const url = new URL(`https://${host}/`);
    if (host !== '' && url.username === '' && url.password === '' && url.pathname === '/' && url.search === '') {
      return url;
    }
  } catch {
    // told below
  }
  throw new DinghyError({
    code: 'ERR_INVALID_OPTION',
    message: `bad registry host ${JSON.stringify(address.slice(0, 200))}: expected host, host:port or host/path`,
  });
}
