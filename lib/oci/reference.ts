import { DinghyError } from '../errors';
import { isDigest, parseDigest } from './digest';

/** Where an image is: a repository of a registry and what to take from it. Immutable; the digest wins over the tag. */
export interface Reference {
  /** As the user wrote it. */
  readonly original: string;
  /** `docker.io`, `ghcr.io`, `localhost:5000`, `[::1]:5000`. */
  readonly registry: string;
  /** `library/nginx` */
  readonly repository: string;
  /** Absent only beside a digest; without either the tag is `latest`. */
  readonly tag?: string;
  readonly digest?: string;
}

const defaultRegistry = 'docker.io';
const maxNameLength = 255;

const tagForm = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const componentForm = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const hostLabel = '(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])';
const hostForm = new RegExp(`^(?:${hostLabel}(?:\\.${hostLabel})*|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{1,5})?$`);

/**
 * Reads `[host[:port]/]path[:tag][@digest]` as Docker does: without a host it is on docker.io, and a single name there lies
 * under `library/` (distribution/reference, "familiar names").
 * @throws ERR_INVALID_REFERENCE, naming the fault
 */
export function parseReference(text: unknown): Reference {
  if (typeof text !== 'string') {
    throw new DinghyError({
      code: 'ERR_INVALID_REFERENCE',
      message: `an image reference is a string, not ${typeof text}`,
    });
  }
  if (text === '') {
    throw invalid(text, 'it is empty');
  }
  if (/^[0-9a-f]{64}$/.test(text)) {
    throw invalid(text, 'it is 64 hexadecimal digits, which would be taken for an image id');
  }
  if (text.includes('://')) {
    throw invalid(text, 'a reference has no scheme, so leave out what precedes and includes "://"');
  }
  const { name, tag, digest } = splitSuffixes(text);
  const { registry, repository } = splitHost(text, name);
  if (registry.length + 1 + repository.length > maxNameLength) {
    throw invalid(text, `its name is longer than ${maxNameLength} characters`);
  }
  for (const component of repository.split('/')) {
    checkComponent(text, component);
  }
  const reference: Reference = { original: text, registry, repository };
  return {
    ...reference,
    ...(tag === undefined && digest === undefined ? { tag: 'latest' } : {}),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** `docker.io/library/nginx:1.18`: one spelling for each image, under which the store keeps it. The digest wins over the tag. */
export function canonicalName(reference: Reference): string {
  const name = `${reference.registry}/${reference.repository}`;
  return reference.digest === undefined ? `${name}:${reference.tag}` : `${name}@${reference.digest}`;
}

/** `nginx:1.18`: the shortest spelling that parses to the same, as Docker shows it. */
export function familiarName(reference: Reference): string {
  const { registry, repository, tag, digest } = reference;
  const onDefault = registry === defaultRegistry;
  const short = onDefault ? repository.replace(/^library\/(?=[^/]+$)/, '') : `${registry}/${repository}`;
  // A path whose first component looks like a host keeps its registry, or it would be read as one.
  const name = onDefault && looksLikeHost(short.split('/')) ? `${registry}/${repository}` : short;
  return `${name}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** A name of the store as Docker shows it. Another tool may have put an image there under one that is no reference of ours. */
export function shownName(name: string): string {
  try {
    return familiarName(parseReference(name));
  } catch {
    return name;
  }
}

function splitSuffixes(text: string): { name: string; tag?: string; digest?: string } {
  let name = text;
  let digest: string | undefined;
  const at = text.indexOf('@');
  if (at !== -1) {
    digest = text.slice(at + 1);
    name = text.slice(0, at);
    if (!isDigest(digest)) {
      throw invalid(
        text,
        faultOf(() => parseDigest(digest)),
      );
    }
  }
  // A colon before the last slash belongs to the host's port.
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1);
  if (colon === -1) {
    return { name, ...(digest === undefined ? {} : { digest }) };
  }
  const tag = name.slice(colon + 1);
  if (!tagForm.test(tag)) {
    throw invalid(text, tagFault(tag));
  }
  return { name: name.slice(0, colon), tag, ...(digest === undefined ? {} : { digest }) };
}

function tagFault(tag: string): string {
  if (tag === '') {
    return 'the tag after ":" is empty';
  }
  const why =
    tag.length > 128
      ? 'is longer than 128 characters'
      : 'may hold letters, digits, "_", "." and "-" and not start with "." or "-"';
  return `its tag ${JSON.stringify(tag.slice(0, 130))} ${why}`;
}

function looksLikeHost(parts: string[]): boolean {
  const first = parts[0] ?? '';
  return parts.length > 1 && (first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase());
}

function splitHost(text: string, name: string): { registry: string; repository: string } {
  const parts = name.split('/');
  const host = parts[0] ?? '';
  if (!looksLikeHost(parts)) {
    return { registry: defaultRegistry, repository: parts.length === 1 ? `library/${name}` : name };
  }
  const port = /:(\d+)$/.exec(host);
  if (!hostForm.test(host) || (port && Number(port[1]) > 65535)) {
    throw invalid(text, `${JSON.stringify(host)} is not a host name with an optional port`);
  }
  const rest = parts.slice(1).join('/');
  if (host === defaultRegistry || host === 'index.docker.io') {
    return { registry: defaultRegistry, repository: parts.length === 2 ? `library/${rest}` : rest };
  }
  return { registry: host, repository: rest };
}

function checkComponent(text: string, component: string): void {
  if (componentForm.test(component)) {
    return;
  }
  if (component === '') {
    throw invalid(text, 'a component of its path is empty');
  }
  const shown = JSON.stringify(component);
  if (component !== component.toLowerCase() && componentForm.test(component.toLowerCase())) {
    throw invalid(text, `${shown} must be in lower case`);
  }
  throw invalid(text, `${shown} may hold lowercase letters and digits, separated by ".", "_", "__" or "-"`);
}

function faultOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  return 'it is malformed';
}

function invalid(text: string, why: string): DinghyError {
  return new DinghyError({
    code: 'ERR_INVALID_REFERENCE',
    message: `bad image reference ${JSON.stringify(text.slice(0, 300))}: ${why}`,
  });
}
