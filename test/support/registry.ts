import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';

import { digestOf } from '../../lib/oci/digest';
import type { BuiltImage } from './random-image';
import { Uploads } from './registry-uploads';

/** What the registry does wrong, or asks for. Each may be changed at any time. */
export interface RegistryFaults {
  auth?: 'basic' | 'bearer';
  username?: string;
  password?: string;
  tokenLifetimeSeconds?: number;
  /** Says so in its answer, or leaves that out (then clients assume 60). */
  tellExpiry?: boolean;
  /** POST to the token server: not known to many. */
  oauth?: boolean;
  /** Whoever brings no credentials is told so at a ping; anything else is not there for them. */
  hides?: boolean;
  /** Replaces the realm in the challenge. */
  realm?: string;
  /** Answers for the next requests whose path matches, before anything else is looked at. */
  respond?: {
    path: RegExp;
    method?: string;
    times: number;
    status: number;
    headers?: Record<string, string>;
    body?: string;
  }[];
  /** It keeps the lists of referrers itself, and says so. */
  referrersApi?: boolean;
  /** Blob bodies end after this many bytes, as if the line had been cut, this many times. */
  cut?: { afterBytes: number; times: number };
  /** `off` ignores Range; `wrong` answers 206 with another range; `416` refuses it. */
  range?: 'on' | 'off' | 'wrong' | '416';
  /** Blob bodies are changed in their last byte. */
  corruptBlobs?: boolean;
  corruptManifests?: boolean;
  /** Milliseconds between pieces of 16 KiB of blob bodies. */
  slowMs?: number;
  /** Blobs are redirected there, the path kept. */
  redirectBlobs?: string;
  contentType?: string;
}

/** One request as it came. */
export interface SeenRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
}

/** A real registry over node:http whose content is in memory, which can be made to fail in every way that registries do. */
export class TestRegistry {
  faults: RegistryFaults = {};
  readonly seen: SeenRequest[] = [];
  /** What it is pushed to with. */
  readonly uploads: Uploads;
  readonly #server: Server;
  readonly #manifests = new Map<string, Buffer>();
  readonly #blobs = new Map<string, Buffer>();
  /** Blobs that were pushed are in their repository alone, under `repository digest`; others are in all. */
  readonly #pushed = new Map<string, Buffer>();
  readonly #tokens = new Map<string, { endsAt: number; scopes: string[] }>();
  #issued = 0;

  private constructor(tls?: ServerOptions) {
    this.uploads = new Uploads(
      () => `http://${this.host}`,
      (repository, digest, bytes) => this.#pushed.set(`${repository} ${digest}`, bytes),
      (repository, digest) => this.blob(repository, digest),
    );
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      this.#handle(request, response).catch(() => response.destroy());
    };
    this.#server = tls ? createTlsServer(tls, listener) : createServer(listener);
  }

  /** @param tls key, certificate and what else https.createServer takes; without it plain http is spoken */
  static async start(tls?: ServerOptions): Promise<TestRegistry> {
    const registry = new TestRegistry(tls);
    await new Promise<void>((resolve) => registry.#server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  /** `127.0.0.1:<port>` */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** The image can be pulled as `<host>/<name>` from now on. Returns that reference. */
  addImage(name: string, image: BuiltImage): string {
    for (const [digest, bytes] of image.blobs) {
      this.#blobs.set(digest, bytes);
    }
    return this.addManifest(name, image.manifest);
  }

  addManifest(name: string, bytes: Buffer): string {
    const [repository, tag = 'latest'] = name.split(':') as [string, string?];
    this.#manifests.set(`${repository}:${tag}`, bytes);
    this.#manifests.set(`${repository}:${digestOf(bytes)}`, bytes);
    return `${this.host}/${repository}:${tag}`;
  }

  addBlob(bytes: Buffer, digest = digestOf(bytes)): string {
    this.#blobs.set(digest, bytes);
    return digest;
  }

  /** What a repository has under a digest. */
  blob(repository: string, digest: string): Buffer | undefined {
    return this.#pushed.get(`${repository} ${digest}`) ?? this.#blobs.get(digest);
  }

  manifest(repository: string, tagOrDigest: string): Buffer | undefined {
    return this.#manifests.get(`${repository}:${tagOrDigest}`);
  }

  /** How many requests had a path that matches. */
  count(path: RegExp): number {
    return this.seen.filter((request) => path.test(request.path)).length;
  }

  /** Nothing is in it any more. */
  clear(): void {
    this.reset();
    this.#blobs.clear();
    this.#pushed.clear();
    this.#manifests.clear();
  }

  reset(): void {
    this.faults = {};
    this.seen.length = 0;
    this.#tokens.clear();
    this.uploads.reset();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', `http://${this.host}`);
    this.seen.push({
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
    });
    const canned = this.faults.respond?.find(
      ({ times, path, method = request.method }) => times > 0 && method === request.method && path.test(url.pathname),
    );
    if (canned) {
      canned.times--;
      response.writeHead(canned.status, canned.headers).end(canned.body ?? '');
      return;
    }
    if (url.pathname === '/token') {
      await this.#token(request, url, response);
    } else if (!this.#authorized(request, url)) {
      if (this.faults.hides && url.pathname !== '/v2/') {
        this.#notFound(response, 'NAME_UNKNOWN');
      } else {
        this.#challenge(url, response);
      }
    } else if (url.pathname === '/v2/') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    } else {
      await this.#content(request, url, response);
    }
  }

  async #content(request: IncomingMessage, url: URL, response: ServerResponse): Promise<void> {
    const upload = /^\/v2\/(.+)\/blobs\/uploads\/([^/]*)$/.exec(url.pathname);
    if (upload) {
      const [, repository = '', id = ''] = upload;
      const mayMountFrom = (from: string): boolean => this.#mayUse(request, `repository:${from}:pull`);
      await this.uploads.handle(request, url, response, repository, id, mayMountFrom);
      return;
    }
    const match = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(url.pathname);
    const [, repository = '', kind, name = ''] = match ?? [];
    if (kind === 'manifests' && request.method === 'PUT') {
      await this.#putManifest(request, response, repository, name);
    } else if (kind === 'manifests') {
      this.#manifest(this.#manifests.get(`${repository}:${name}`), response);
    } else if (kind === 'blobs' && this.blob(repository, name)) {
      if (this.faults.redirectBlobs !== undefined) {
        response.writeHead(307, { location: `${this.faults.redirectBlobs}${url.pathname}` }).end();
      } else {
        await this.#blob(this.blob(repository, name)!, request, response);
      }
    } else {
      this.#notFound(response, 'BLOB_UNKNOWN');
    }
  }

  async #putManifest(
    request: IncomingMessage,
    response: ServerResponse,
    repository: string,
    name: string,
  ): Promise<void> {
    const bytes = await bodyOf(request);
    const present = this.#manifests.get(`${repository}:${name}`);
    const { 'if-match': expected, 'if-none-match': unexpected } = request.headers;
    if ((unexpected === '*' && present) || (expected && expected !== (present && etagOf(present)))) {
      response.writeHead(412).end();
      return;
    }
    const document = JSON.parse(bytes.toString()) as PushedManifest;
    const missing = document.manifests
      ? document.manifests.some(({ digest }) => !this.#manifests.has(`${repository}:${digest}`))
      : [document.config!, ...document.layers!].some(({ digest }) => !this.blob(repository, digest));
    if (missing || (name.includes(':') && name !== digestOf(bytes))) {
      response
        .writeHead(400, { 'content-type': 'application/json' })
        .end(`{"errors":[{"code":"${missing ? 'MANIFEST_BLOB_UNKNOWN' : 'DIGEST_INVALID'}"}]}`);
      return;
    }
    this.#manifests.set(`${repository}:${name}`, bytes);
    this.#manifests.set(`${repository}:${digestOf(bytes)}`, bytes);
    const digest = this.uploads.faults.manifestDigest ?? digestOf(bytes);
    const subject = this.faults.referrersApi && document.subject ? { 'oci-subject': document.subject.digest } : {};
    response.writeHead(201, { 'docker-content-digest': digest, ...subject }).end();
  }

  #manifest(bytes: Buffer | undefined, response: ServerResponse): void {
    if (!bytes) {
      this.#notFound(response, 'MANIFEST_UNKNOWN');
      return;
    }
    const inBody = (JSON.parse(bytes.toString()) as { mediaType?: string }).mediaType;
    const body = this.faults.corruptManifests ? Buffer.concat([bytes, Buffer.from('\n')]) : bytes;
    response
      .writeHead(200, {
        'content-type': this.faults.contentType ?? inBody ?? 'application/json',
        'content-length': body.length,
        'docker-content-digest': digestOf(bytes),
        etag: etagOf(bytes),
      })
      .end(body);
  }

  async #blob(stored: Buffer, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const bytes = this.faults.corruptBlobs
      ? Buffer.concat([stored.subarray(0, -1), Buffer.from([(stored.at(-1) ?? 0) ^ 1])])
      : stored;
    const { range = 'on', cut } = this.faults;
    const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    let start = 0;
    if (asked && range === '416') {
      response.writeHead(416).end();
      return;
    }
    if (asked && range !== 'off') {
      start = Number(asked[1]);
      const told = range === 'wrong' ? start + 7 : start;
      response.writeHead(206, {
        'content-range': `bytes ${told}-${bytes.length - 1}/${bytes.length}`,
        'content-length': bytes.length - start,
      });
    } else {
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes.length });
    }
    const cutting = cut !== undefined && cut.times > 0;
    const end = cutting ? Math.min(bytes.length, start + cut.afterBytes) : bytes.length;
    if (cutting) {
      cut.times--;
    }
    await this.#send(response, bytes.subarray(start, end));
    if (cutting && end < bytes.length) {
      response.socket?.end();
    } else {
      response.end();
    }
  }

  async #send(response: ServerResponse, bytes: Buffer): Promise<void> {
    const { slowMs } = this.faults;
    const piece = slowMs === undefined ? 1024 * 1024 : 16 * 1024;
    for (let at = 0; at < bytes.length && !response.destroyed; at += piece) {
      await new Promise<void>((resolve) => response.write(bytes.subarray(at, at + piece), () => resolve()));
      if (slowMs !== undefined) {
        await new Promise((resolve) => setTimeout(resolve, slowMs));
      }
    }
  }

  #authorized(request: IncomingMessage, url: URL): boolean {
    const { auth } = this.faults;
    const header = request.headers.authorization ?? '';
    if (auth === 'basic') {
      return header === this.#basic();
    }
    const repository = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(url.pathname)?.[1];
    const writes = request.method !== 'GET' && request.method !== 'HEAD';
    return (
      auth !== 'bearer' || this.#mayUse(request, `repository:${repository}:pull${writes ? ',push' : ''}`, !repository)
    );
  }

  /** True when the request's token is alive and for this, or for more of the same repository. */
  #mayUse(request: IncomingMessage, scope: string, any = false): boolean {
    const token = this.#tokens.get((request.headers.authorization ?? '').replace(/^Bearer /, ''));
    if (this.faults.auth !== 'bearer') {
      return true;
    }
    return (
      token !== undefined && token.endsAt > Date.now() && (any || token.scopes.some((one) => one.startsWith(scope)))
    );
  }

  #challenge(url: URL, response: ServerResponse): void {
    const realm = this.faults.realm ?? `http://${this.host}/token`;
    const repository = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(url.pathname)?.[1];
    const scope = repository ? `,scope="repository:${repository}:pull"` : '';
    const header =
      this.faults.auth === 'basic' ? 'Basic realm="test"' : `Bearer realm="${realm}",service="test"${scope}`;
    response
      .writeHead(401, { 'www-authenticate': header, 'content-type': 'application/json' })
      .end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
  }

  async #token(request: IncomingMessage, url: URL, response: ServerResponse): Promise<void> {
    const { username, password, oauth, tokenLifetimeSeconds = 300, tellExpiry = true } = this.faults;
    let allowed = username === undefined || request.headers.authorization === this.#basic();
    let scopes = url.searchParams.getAll('scope');
    if (request.method === 'POST') {
      const body = await bodyOf(request);
      if (!oauth) {
        this.#notFound(response, 'UNSUPPORTED');
        return;
      }
      const form = new URLSearchParams(body.toString());
      scopes = form.get('scope')?.split(' ') ?? [];
      allowed =
        form.get('refresh_token') === password ||
        (form.get('username') === username && form.get('password') === password);
    }
    if (!allowed || url.pathname !== '/token') {
      response.writeHead(401).end();
      return;
    }
    const token = `token-${++this.#issued}`;
    this.#tokens.set(token, { endsAt: Date.now() + tokenLifetimeSeconds * 1000, scopes });
    const answer = { token, ...(tellExpiry ? { expires_in: tokenLifetimeSeconds } : {}) };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }

  #basic(): string {
    return `Basic ${Buffer.from(`${this.faults.username}:${this.faults.password}`).toString('base64')}`;
  }

  #notFound(response: ServerResponse, code: string): void {
    response
      .writeHead(404, { 'content-type': 'application/json' })
      .end(JSON.stringify({ errors: [{ code, message: 'not found' }] }));
  }
}

interface Named {
  digest: string;
}

interface PushedManifest {
  config?: Named;
  layers?: Named[];
  manifests?: Named[];
  subject?: Named;
}

function etagOf(bytes: Buffer): string {
  return `"${digestOf(bytes)}"`;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
