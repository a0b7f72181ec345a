import { DinghyError, isDinghyError } from '../errors';
import { createLog } from '../log';
import type { Descriptor } from '../oci/descriptor';
import { digestOf } from '../oci/digest';
import { type Index, type Manifest, maxManifestBytes, parseManifest } from '../oci/manifest';
import { acceptedManifests } from '../oci/media-types';
import { throwIfAborted } from '../util/abort';
import { blobStream } from './blob-stream';
import type { Connection, RegistryRequest } from './connection';
import { responseError } from './errors';
import { type HttpResponse, readBody } from './http';
import type { RetryPolicy } from './retry';
import { verifyBytes } from './verify';

export interface FetchedManifest {
  bytes: Buffer;
  digest: string;
  document: Manifest | Index;
}

const log = createLog('registry');
const maxSmallBlobBytes = maxManifestBytes;

/** One repository, behind the servers that can answer for it; the one that answered last is asked first. */
export class Repository {
  readonly name: string;
  readonly #connections: Connection[];
  readonly #retry: RetryPolicy;

  constructor(name: string, connections: Connection[], retry: RetryPolicy) {
    this.name = name;
    this.#connections = connections;
    this.#retry = retry;
  }

  /**
   * The manifest or index that a tag or digest names; asked for by digest it has that digest, and a known size is checked too.
   * @throws ERR_IMAGE_NOT_FOUND, ERR_DIGEST_MISMATCH, ERR_INVALID_IMAGE and what registries answer
   */
  async getManifest(tagOrDigest: string, signal?: AbortSignal, size?: number): Promise<FetchedManifest> {
    const separator = tagOrDigest.includes(':') ? '@' : ':';
    const doing = `fetch the manifest of ${this.name}${separator}${tagOrDigest}`;
    return this.#ask(signal, async (connection) => {
      const request = this.#request(connection, `manifests/${tagOrDigest}`, doing, signal);
      const response = await connection.request({ ...request, headers: { accept: acceptedManifests } });
      if (response.status !== 200) {
        throw await responseError(response, doing);
      }
      const bytes = await readBody(response, maxManifestBytes, 'manifest');
      if (separator === '@') {
        verifyBytes(bytes, { digest: tagOrDigest, ...(size === undefined ? {} : { size }) }, 'manifest');
      }
      const digest = separator === '@' ? tagOrDigest : digestOf(bytes);
      return { bytes, digest, document: parseManifest(bytes, response.header('content-type')) };
    });
  }

  /** A blob small enough for memory (a config), verified. @throws ERR_DIGEST_MISMATCH and what registries answer */
  async getSmallBlob(descriptor: Descriptor, signal?: AbortSignal): Promise<Buffer> {
    if (descriptor.size > maxSmallBlobBytes) {
      throw new DinghyError({
        code: 'ERR_INVALID_IMAGE',
        message: `the blob ${descriptor.digest} says to have ${descriptor.size} bytes; its kind has at most ${maxSmallBlobBytes}`,
      });
    }
    if (descriptor.data) {
      verifyBytes(descriptor.data, descriptor, 'inline blob');
      return descriptor.data;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of this.openBlob(descriptor, signal)) {
      chunks.push(chunk);
    }
    const bytes = Buffer.concat(chunks);
    verifyBytes(bytes, descriptor, 'blob');
    return bytes;
  }

  /** The bytes of a blob, resumed when cut, exactly as many as its descriptor says; their digest is the reader's to check. */
  openBlob(descriptor: Descriptor, signal?: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    const doing = `download ${descriptor.digest}`;
    return blobStream({
      descriptor,
      host: this.#connections[0]?.endpoint.host ?? this.name,
      pauseMs: Math.min(this.#retry.baseMs, 1000) / 4,
      ...(signal ? { signal } : {}),
      open: (from) => {
        return this.#ask(signal, async (connection) => {
          const request = this.#request(connection, `blobs/${descriptor.digest}`, doing, signal);
          const response = await connection.request({
            ...request,
            headers: from > 0 ? { range: `bytes=${from}-` } : {},
          });
          return failOver(response, doing);
        });
      },
    });
  }

  #request(connection: Connection, path: string, doing: string, signal: AbortSignal | undefined): RegistryRequest {
    const name = connection.endpoint.repository;
    return { path: `${name}/${path}`, scope: `repository:${name}:pull`, doing, ...(signal ? { signal } : {}) };
  }

  /** Asks one server after the other; what the last one says is the error, with what the others said told beside it. */
  async #ask<T>(signal: AbortSignal | undefined, question: (connection: Connection) => Promise<T>): Promise<T> {
    const failures: unknown[] = [];
    for (const connection of [...this.#connections]) {
      try {
        const answer = await question(connection);
        this.#prefer(connection);
        return answer;
      } catch (error) {
        throwIfAborted(signal);
        log('%s: %s', connection.endpoint.host, (error as Error).message);
        failures.push(error);
      }
    }
    throw combine(failures);
  }

  #prefer(connection: Connection): void {
    const at = this.#connections.indexOf(connection);
    if (at > 0) {
      this.#connections.splice(at, 1);
      this.#connections.unshift(connection);
    }
  }
}

/** Answers that the reader of a blob deals with; others are errors, which another server may not have. */
async function failOver(response: HttpResponse, doing: string): Promise<HttpResponse> {
  if ([200, 206, 416].includes(response.status)) {
    return response;
  }
  throw await responseError(response, doing);
}

function combine(failures: unknown[]): unknown {
  const last = failures.at(-1);
  if (failures.length < 2 || !isDinghyError(last)) {
    return last;
  }
  const before = failures.slice(0, -1).map((error) => (error instanceof Error ? error.message : String(error)));
  return new DinghyError({
    code: last.code,
    message: `${last.message} (before that: ${before.join('; ')})`,
    ...(last.details ? { details: last.details } : {}),
    cause: last.cause ?? last,
  });
}
