import type { Readable } from 'node:stream';

import { DinghyError, isDinghyError } from '../errors';
import { createLog } from '../log';
import { abortable, onAbort, throwIfAborted } from '../util/abort';
import type { Connection, RegistryRequest } from './connection';
import { responseError } from './errors';
import { discard, type HttpResponse, networkErrorCode } from './http';
import { isRetryableNetworkError, isRetryableStatus } from './retry';

/** A blob to upload. */
export interface BlobSource {
  digest: string;
  size: number;
  /** Its bytes from `start` up to but not including `end`. */
  read: (start: number, end: number) => Readable;
}

const log = createLog('registry');
const cancelMs = 5000;

/** Something that another try may mend; `cause` is the error if it doesn't. */
export class Interruption extends Error {
  constructor(override readonly cause: unknown) {
    super('the upload was interrupted');
  }
}

/**
 * The requests of one blob's upload (distribution-spec, "Pushing blobs"). It knows where the registry wants the next one; what is
 * done after a failure is the caller's decision.
 */
export class UploadSession {
  /** How many bytes the registry has. */
  offset = 0;
  /** False once the registry has refused to take pieces: then `finish` sends all of it. */
  takesChunks = true;
  readonly #connection: Connection;
  readonly #scope: string;
  readonly #blob: BlobSource;
  readonly #signal: AbortSignal;
  readonly #doing: string;
  readonly #usualChunkBytes: number;
  #location: URL | undefined;
  #chunkBytes: number;
  /** Of the session that is being begun; never rejects. */
  #beginning: Promise<unknown> | undefined;

  /** @param scope `repository:team/app:pull,push` */
  constructor(
    { connection, scope, chunkBytes }: { connection: Connection; scope: string; chunkBytes: number },
    blob: BlobSource,
    signal: AbortSignal,
  ) {
    this.#connection = connection;
    this.#usualChunkBytes = this.#chunkBytes = chunkBytes;
    this.#scope = scope;
    this.#blob = blob;
    this.#signal = signal;
    this.#doing = `upload ${blob.digest}`;
  }

  get begun(): boolean {
    return this.#location !== undefined;
  }

  /**
   * A new session stands at its start; the one before is given up.
   * @param from another repository of the registry: true when the blob came from there, and no session is needed
   */
  async begin(from?: string): Promise<boolean> {
    await this.cancel();
    throwIfAborted(this.#signal);
    // Cut off, the request might have made a session that nobody knows to give up: so an abort leaves it some time.
    const patience = new AbortController();
    const release = onAbort(this.#signal, () => void setTimeout(() => patience.abort(), cancelMs).unref());
    const begun = this.#begin(from, patience.signal).finally(release);
    this.#beginning = begun.catch(() => undefined);
    return abortable(begun, this.#signal);
  }

  async #begin(from: string | undefined, signal: AbortSignal): Promise<boolean> {
    const query = `?mount=${encodeURIComponent(this.#blob.digest)}&from=${encodeURIComponent(from ?? '')}`;
    const response = await this.#send({
      path: `${this.#connection.endpoint.repository}/blobs/uploads/${from === undefined ? '' : query}`,
      method: 'POST',
      headers: lengthOf(0),
      body: () => '',
      scope: from === undefined ? this.#scope : `${this.#scope} repository:${from}:pull`,
      signal,
    });
    if (from !== undefined && response.status === 201) {
      await discard(response);
      return true;
    }
    const least = Number(response.header('oci-chunk-min-length'));
    this.#chunkBytes = Math.max(this.#usualChunkBytes, Number.isSafeInteger(least) ? least : 0);
    this.offset = 0;
    await this.#relocate(response, signal);
    return false;
  }

  /**
   * The registry has more of it, or has refused chunks.
   * @throws Interruption, and what registries answer
   */
  async sendChunk(): Promise<void> {
    const { size, read } = this.#blob;
    const start = this.offset;
    const end = Math.min(size, start + this.#chunkBytes);
    const headers = { 'content-range': `${start}-${end - 1}`, ...lengthOf(end - start) };
    const request = {
      path: this.#location!,
      method: 'PATCH',
      headers,
      body: () => read(start, end),
      once: true,
    } as const;
    const refusals = start === 0 ? [404, 405, 501] : [405, 501];
    const response = await this.#send(request, refusals);
    if (refusals.includes(response.status)) {
      this.takesChunks = false;
      await this.begin();
      return;
    }
    await this.#relocate(response);
    const has = bytesOf(response) ?? end;
    if (has <= start || has > end) {
      const { host } = this.#connection.endpoint;
      const why = `${host} says to have ${has} bytes after those from ${start} to ${end} were sent`;
      throw new Interruption(new DinghyError({ code: 'ERR_REGISTRY', message: `cannot ${this.#doing}: ${why}` }));
    }
    this.offset = has;
  }

  /** The registry has the blob, by its digest. @throws Interruption, and what registries answer */
  async finish(): Promise<void> {
    const { digest, size, read } = this.#blob;
    const path = new URL(this.#location!);
    // Appended, not set: the rest of the query is the registry's own, and may be signed as it is spelled.
    path.search += `${path.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`;
    const whole = !this.takesChunks;
    const response = await this.#send({
      path,
      method: 'PUT',
      headers: lengthOf(whole ? size : 0),
      body: () => (whole && size > 0 ? read(0, size) : ''),
      once: true,
    });
    this.#location = undefined;
    await discard(response);
  }

  /** The offset is what the registry says it is; where it doesn't say, there is a new session. */
  async synchronise(): Promise<void> {
    const common = { scope: this.#scope, doing: this.#doing, signal: this.#signal };
    const response = this.#location && (await this.#connection.request({ ...common, path: this.#location }));
    if (response) {
      const has = response.status < 300 ? bytesOf(response) : undefined;
      // `0-0` is what registries say of one byte and, having no other word for it, of none.
      if (has !== undefined && has > 1 && has <= this.#blob.size && this.takesChunks) {
        this.offset = has;
        await (response.header('location') === undefined ? discard(response) : this.#relocate(response));
        return;
      }
      await discard(response);
    }
    await this.begin();
  }

  /** The session is given up, if the registry can be told so in time. Never rejects. */
  async cancel(): Promise<void> {
    await this.#beginning;
    const path = this.#location;
    this.#location = undefined;
    if (path) {
      const signal = AbortSignal.timeout(cancelMs);
      const common = { scope: this.#scope, doing: this.#doing, signal, once: true };
      await this.#connection.request({ ...common, path, method: 'DELETE' }).then(discard, (error: Error) => {
        log('the upload of %s was not given up: %s', this.#blob.digest, error.message);
      });
    }
  }

  /** @param wanted statuses beside those of success that are no error */
  async #send(
    request: Omit<RegistryRequest, 'scope' | 'doing'> & { scope?: string },
    wanted: number[] = [],
  ): Promise<HttpResponse> {
    let response: HttpResponse;
    try {
      response = await this.#connection.request({
        scope: this.#scope,
        doing: this.#doing,
        signal: this.#signal,
        ...request,
      });
    } catch (error) {
      const cause = isDinghyError(error) ? networkErrorCode(error.cause) : undefined;
      throw request.once && isRetryableNetworkError(cause) ? new Interruption(error) : error;
    }
    const { status } = response;
    if ((status >= 200 && status < 300) || wanted.includes(status)) {
      return response;
    }
    try {
      const error = await responseError(response, this.#doing, 'write');
      // 404 and 416: the registry's upload is gone, or is not where we think.
      const passing = request.once && (isRetryableStatus(status) || status === 404 || status === 416);
      throw passing ? new Interruption(error) : error;
    } finally {
      response.body.destroy(); // and with it what is left of a body that was not wanted
    }
  }

  async #relocate(response: HttpResponse, signal = this.#signal): Promise<void> {
    try {
      this.#location = await this.#connection.locate(response, signal);
    } finally {
      await discard(response);
    }
  }
}

function lengthOf(bytes: number): Record<string, string> {
  return { 'content-length': String(bytes), 'content-type': 'application/octet-stream' };
}

/** How many bytes of the upload the registry says it has. */
function bytesOf(response: HttpResponse): number | undefined {
  const match = /^(?:bytes[ =])?0-(\d{1,15})(?:\/.*)?$/.exec(response.header('range') ?? '');
  return match ? Number(match[1]) + 1 : undefined;
}
