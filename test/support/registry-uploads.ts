import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

import { digestOf } from '../../lib/oci/digest';

/** What the registry does wrong when it is pushed to. */
export interface UploadFaults {
  /** PATCH is answered with this: the registry takes no chunks. */
  patch?: 404 | 405;
  /** The line is cut after this many bytes of the body of a PATCH, this many times; what came is kept. */
  cut?: { afterBytes: number; times: number };
  /** Only this many bytes of each PATCH are kept, and it says so. */
  keep?: number;
  /** The answer to a PUT that ends an upload is lost, this many times. */
  loseAnswer?: number;
  /** Sessions are forgotten after a PATCH, this many times. */
  forget?: number;
  /** What the manifest was stored as. */
  manifestDigest?: string;
  /** How Location is spelled. */
  location?: 'relative' | 'absolute';
  minimum?: number;
  /** Milliseconds before the answer to a PATCH. */
  slowMs?: number;
  /** A session is made at once, and the answer that tells of it comes this much later. */
  beginMs?: number;
  /** Mounting is not known: POST gives a session whatever it asks for. */
  mount?: boolean;
}

interface Session {
  repository: string;
  bytes: Buffer;
}

/** The part of the test registry that is pushed to: sessions that are filled by chunks, and become blobs of one repository. */
export class Uploads {
  faults: UploadFaults = {};
  readonly #sessions = new Map<string, Session>();
  readonly #origin: () => string;
  readonly #keep: (repository: string, digest: string, bytes: Buffer) => void;
  readonly #has: (repository: string, digest: string) => Buffer | undefined;

  constructor(
    origin: () => string,
    keep: (repository: string, digest: string, bytes: Buffer) => void,
    has: (repository: string, digest: string) => Buffer | undefined,
  ) {
    this.#origin = origin;
    this.#keep = keep;
    this.#has = has;
  }

  /** Sessions that were neither ended nor given up. */
  get open(): number {
    return this.#sessions.size;
  }

  reset(): void {
    this.faults = {};
    this.#sessions.clear();
  }

  /** @param id absent for POST, which begins a session */
  async handle(
    request: IncomingMessage,
    url: URL,
    response: ServerResponse,
    repository: string,
    id: string,
    mayMountFrom: (repository: string) => boolean,
  ): Promise<void> {
    if (request.method === 'POST') {
      await this.#begin(url, response, repository, mayMountFrom);
      return;
    }
    const session = this.#sessions.get(id);
    // The state of an upload is in its address; only who asks for it may have an old one.
    const state = url.searchParams.get('state');
    const fits =
      state === `at=${session?.bytes.length}&` || (request.method === 'GET' && /^at=\d+&$/.test(state ?? ''));
    if (session?.repository !== repository || (!fits && request.method !== 'DELETE')) {
      response
        .writeHead(404, { 'content-type': 'application/json' })
        .end('{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}');
    } else if (request.method === 'GET') {
      response.writeHead(204, this.#headers(id, session)).end();
    } else if (request.method === 'PATCH') {
      await this.#patch(request, response, id, session);
    } else if (request.method === 'PUT') {
      await this.#put(request, url, response, id, session);
    } else {
      this.#sessions.delete(id);
      response.writeHead(204).end();
    }
  }

  async #begin(
    url: URL,
    response: ServerResponse,
    repository: string,
    mayMountFrom: (from: string) => boolean,
  ): Promise<void> {
    const [mount, from] = [url.searchParams.get('mount'), url.searchParams.get('from')];
    const bytes =
      mount && from && this.faults.mount !== false && mayMountFrom(from) ? this.#has(from, mount) : undefined;
    if (mount && bytes) {
      this.#keep(repository, mount, bytes);
      response.writeHead(201, { location: `/v2/${repository}/blobs/${mount}` }).end();
      return;
    }
    const id = randomUUID();
    const session = { repository, bytes: Buffer.alloc(0) };
    this.#sessions.set(id, session);
    const { minimum, beginMs } = this.faults;
    if (beginMs !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, beginMs).unref());
    }
    response
      .writeHead(202, { ...this.#headers(id, session), ...(minimum ? { 'oci-chunk-min-length': minimum } : {}) })
      .end();
  }

  async #patch(request: IncomingMessage, response: ServerResponse, id: string, session: Session): Promise<void> {
    const { patch, cut, keep = Infinity, slowMs, forget = 0 } = this.faults;
    if (patch !== undefined) {
      response.writeHead(patch).end();
      return;
    }
    const [, start] = /^(\d+)-\d+$/.exec(request.headers['content-range'] ?? '') ?? [];
    if (Number(start) !== session.bytes.length) {
      response.writeHead(416, this.#headers(id, session)).end();
      return;
    }
    const cutting = cut !== undefined && cut.times > 0;
    const body = await read(request, cutting ? cut.afterBytes : Infinity);
    session.bytes = Buffer.concat([session.bytes, body.subarray(0, keep)]);
    if (cutting) {
      cut.times--;
      request.socket.destroy();
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, slowMs ?? 0).unref());
    const headers = this.#headers(id, session);
    if (forget > 0) {
      this.faults.forget = forget - 1;
      this.#sessions.delete(id);
    }
    response.writeHead(202, headers).end();
  }

  async #put(
    request: IncomingMessage,
    url: URL,
    response: ServerResponse,
    id: string,
    session: Session,
  ): Promise<void> {
    const bytes = Buffer.concat([session.bytes, await read(request, Infinity)]);
    const digest = url.searchParams.get('digest') ?? '';
    this.#sessions.delete(id);
    if (digestOf(bytes) !== digest) {
      response.writeHead(400, { 'content-type': 'application/json' }).end('{"errors":[{"code":"DIGEST_INVALID"}]}');
      return;
    }
    this.#keep(session.repository, digest, bytes);
    if ((this.faults.loseAnswer ?? 0) > 0) {
      this.faults.loseAnswer!--;
      request.socket.destroy();
      return;
    }
    response.writeHead(201, { location: `/v2/${session.repository}/blobs/${digest}` }).end();
  }

  // The query must come back as it was spelled: other registries sign it.
  #headers(id: string, { repository, bytes }: Session): Record<string, string> {
    const path = `/v2/${repository}/blobs/uploads/${id}?state=at%3D${bytes.length}%26`;
    const { location = 'absolute' } = this.faults;
    return {
      location: location === 'relative' ? path : this.#origin() + path,
      range: `0-${Math.max(0, bytes.length - 1)}`,
    };
  }
}

async function read(request: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size >= most) {
      break;
    }
  }
  return Buffer.concat(chunks).subarray(0, most);
}
