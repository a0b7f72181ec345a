import { DinghyError } from '../errors';
import { canonicalName, type Reference } from '../oci/reference';
import { isLoopback } from './address';
import type { TlsSettings } from './http';
import { findEntry, type RegistriesConf } from './registries-conf';
import type { RegistryEntry } from './registries-conf-parser';

/** What the user says of one registry host. */
export interface RegistrySettings {
  /** Hosts, with an optional path, asked before it, in this order; in the place of those in registries.conf. */
  mirrors?: readonly string[];
  insecure?: boolean;
  /** PEM of an authority of its own. */
  ca?: string;
}

/** One server that can answer for a repository. */
export interface Endpoint {
  /** `host[:port]` */
  host: string;
  /** What the repository is called there: a mirror may keep the images of others under a path. */
  repository: string;
  /** The addresses to try, best first; the first that answers like a registry is used. */
  bases: URL[];
  insecure: boolean;
  /** For a mirror, the registry it stands for: sent as `ns`, so that one mirror can serve several. */
  mirrorOf?: string;
  tls: TlsSettings;
}

export interface EndpointOptions {
  conf: RegistriesConf;
  registries: Readonly<Record<string, RegistrySettings>>;
  env: NodeJS.ProcessEnv;
  tlsFor: (host: string) => TlsSettings;
}

/**
 * The servers to ask for an image, in order: its mirrors, then where it really is.
 * @throws ERR_INVALID_OPTION for a mirror that is no host; ERR_REGISTRY for a blocked registry
 */
export function pullEndpoints(reference: Reference, options: EndpointOptions): Endpoint[] {
  const { registry, repository } = reference;
  const { entry, rest } = entryFor(reference, options);
  // A prefix and its location may name a tag; which one is pulled stays the reference's affair.
  const moved = (location: string, more: MoreOptions): Endpoint => {
    return makeEndpoint(location.replace(/(?<=\/[^/]*)[:@].*$/, '') + rest, options, more);
  };
  const given = settingsOf(registry, options).mirrors;
  const mirrors = given
    ? given.map((mirror) => makeEndpoint(`${mirror}/${repository}`, options, { mirrorOf: registry }))
    : (entry?.mirrors ?? [])
        .filter(({ use }) => use === 'all' || (use === 'digest-only') === (reference.digest !== undefined))
        .map(({ location, insecure }) => moved(location, { insecure, mirrorOf: registry }));
  const variable = options.env['DINGHY_MIRROR'];
  if (registry === 'docker.io' && variable) {
    mirrors.unshift(makeEndpoint(`${variable}/${repository}`, options, { mirrorOf: registry }));
  }
  const itself =
    entry?.location === undefined
      ? upstream(reference, options, entry)
      : moved(entry.location, { insecure: entry.insecure });
  return [...mirrors, itself];
}

/**
 * The server of the registry itself: pushes and logins go nowhere else, as with Podman.
 * @throws ERR_INVALID_OPTION, ERR_REGISTRY
 */
export function pushEndpoint(reference: Reference, options: EndpointOptions): Endpoint {
  return upstream(reference, options, entryFor(reference, options).entry);
}

function entryFor(reference: Reference, { conf }: EndpointOptions): { entry?: RegistryEntry; rest: string } {
  const found = findEntry(conf, canonicalName(reference)) ?? { rest: '' };
  if ('entry' in found && found.entry.blocked) {
    const what = found.entry.prefix.includes('/') ? found.entry.prefix : `the registry ${reference.registry}`;
    throw new DinghyError({ code: 'ERR_REGISTRY', message: `${what} is blocked by registries.conf` });
  }
  return found;
}

function upstream(reference: Reference, options: EndpointOptions, entry: RegistryEntry | undefined): Endpoint {
  const { registry, repository } = reference;
  return makeEndpoint(`${registry}/${repository}`, options, { insecure: entry?.insecure });
}

function settingsOf(host: string, { registries }: EndpointOptions): RegistrySettings {
  return (Object.hasOwn(registries, host) ? registries[host] : undefined) ?? {};
}

interface MoreOptions {
  insecure?: boolean;
  mirrorOf?: string;
}

/** @param address `[http[s]://]host[:port]/path`; the path is the repository's */
function makeEndpoint(address: string, options: EndpointOptions, { insecure: named, mirrorOf }: MoreOptions): Endpoint {
  const scheme = /^(https?):\/\//.exec(address)?.[1];
  const bare = address.replace(/^https?:\/\//, '');
  const slash = bare.indexOf('/');
  const name = slash === -1 ? bare : bare.slice(0, slash);
  const repository =
    slash === -1
      ? ''
      : bare
          .slice(slash + 1)
          .replace(/^\/+|\/+$/g, '')
          .replace(/\/{2,}/g, '/');
  const host = name === 'docker.io' ? 'registry-1.docker.io' : name;
  const hostname = parseHost(host, address).hostname;
  const settings = settingsOf(name, options);
  const own = findEntry(options.conf, `${name}/${repository}`)?.entry;
  const insecure = settings.insecure ?? named ?? own?.insecure ?? false;
  if (scheme === 'http' && !insecure && !isLoopback(hostname)) {
    throw new DinghyError({
      code: 'ERR_INVALID_OPTION',
      message: `the mirror ${host} is named with http://, which is allowed on loopback and for registries marked insecure`,
    });
  }
  const tls = { ...options.tlsFor(host), ...(insecure ? { insecure } : {}) };
  return {
    host,
    repository,
    bases: schemes(scheme, hostname, insecure).map((each) => new URL(`${each}://${host}/v2/`)),
    insecure,
    ...(mirrorOf === undefined ? {} : { mirrorOf }),
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
