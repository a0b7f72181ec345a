import { DinghyError } from '../errors';
import { createLog } from '../log';
import type { Manifest } from '../oci/manifest';
import { sleep, throwIfAborted } from '../util/abort';
import type { Connection } from './connection';
import { responseError } from './errors';
import { discard } from './http';
import { addReferrer } from './referrers';
import type { RetryPolicy } from './retry';
import { type BlobSource, Interruption, UploadSession } from './upload-session';

const log = createLog('registry');
// Large enough that the round trips between two don't matter, small enough for the proxies that limit a request's size.
const usualChunkBytes = 64 * 1024 * 1024;
// Each that hasn't got it costs a round trip.
const maxMountAttempts = 3;
const maxTriesWithoutProgress = 3;
const progressBytes = 1024 * 1024;

/** One repository to push to. */
export class PushTarget {
  readonly #connection: Connection;
  readonly #retry: RetryPolicy;
  readonly #chunkBytes: number;
  readonly #givenUp = new Set<Promise<void>>();

  constructor(connection: Connection, retry: RetryPolicy, chunkBytes = usualChunkBytes) {
    this.#connection = connection;
    this.#retry = retry;
    this.#chunkBytes = chunkBytes;
  }

  /** @throws what registries answer */
  async hasBlob(digest: string, signal: AbortSignal): Promise<boolean> {
    const doing = `look for ${digest}`;
    const path = `${this.#repository}/blobs/${digest}`;
    const response = await this.#connection.request({ path, method: 'HEAD', scope: this.#scope, doing, signal });
    if (response.status !== 200 && response.status !== 404) {
      throw await responseError(response, doing, 'write');
    }
    await discard(response);
    return response.status === 200;
  }

  /**
   * The repository has the blob: it was mounted from another one, or uploaded, over as many tries as that takes. After a failure
   * its upload session is being given up.
   * @param mountFrom repositories of the same registry that may have it, the likeliest first
   * @throws ERR_REGISTRY_UNREACHABLE when three tries in a row bring less than 1 MiB, ABORT_ERR, what `read` fails with and what
   *   registries answer
   */
  async pushBlob(blob: BlobSource, mountFrom: readonly string[], signal: AbortSignal): Promise<'mounted' | 'uploaded'> {
    const to = { connection: this.#connection, scope: this.#scope, chunkBytes: this.#chunkBytes };
    const session = new UploadSession(to, blob, signal);
    try {
      for (const repository of mountFrom.slice(0, maxMountAttempts)) {
        if (await this.#mount(session, repository, signal)) {
          return 'mounted';
        }
      }
      await this.#upload(session, blob, signal);
      return 'uploaded';
    } catch (error) {
      const givenUp = session.cancel().finally(() => this.#givenUp.delete(givenUp));
      this.#givenUp.add(givenUp);
      throw error;
    }
  }

  /** The sessions of failed uploads are gone at the registry too, or it doesn't answer. */
  async settled(): Promise<void> {
    await Promise.all(this.#givenUp);
  }

  /**
   * The tag (or the digest) names this manifest at the registry, and it is listed among the referrers of its subject, if it has one.
   * @throws ERR_DIGEST_MISMATCH when the registry says to have stored something else; what registries answer
   */
  async putManifest(
    tagOrDigest: string,
    manifest: { bytes: Buffer; digest: string; document: Manifest },
    signal: AbortSignal,
  ): Promise<void> {
    const doing = `push the manifest of ${this.#repository}${tagOrDigest.includes(':') ? '@' : ':'}${tagOrDigest}`;
    const response = await this.#connection.request({
      path: `${this.#repository}/manifests/${tagOrDigest}`,
      method: 'PUT',
      headers: { 'content-type': manifest.document.mediaType, 'content-length': String(manifest.bytes.length) },
      body: () => manifest.bytes,
      scope: this.#scope,
      doing,
      signal,
    });
    if (response.status < 200 || response.status > 299) {
      throw await responseError(response, doing, 'write');
    }
    const stored = response.header('docker-content-digest');
    const listedFor = response.header('oci-subject');
    await discard(response);
    if (stored !== undefined && stored !== manifest.digest) {
      const { host } = this.#connection.endpoint;
      throw new DinghyError({
        code: 'ERR_DIGEST_MISMATCH',
        message: `${host} says to have stored the manifest as ${JSON.stringify(stored.slice(0, 150))}, not as ${manifest.digest}`,
        details: { digest: manifest.digest },
      });
    }
    const { subject } = manifest.document;
    // A registry that keeps the lists itself says so (distribution-spec, "Pushing Manifests with Subject").
    if (subject && listedFor !== subject.digest) {
      await addReferrer({ connection: this.#connection, scope: this.#scope }, subject, manifest, signal);
    }
  }

  async #mount(session: UploadSession, repository: string, signal: AbortSignal): Promise<boolean> {
    try {
      return await session.begin(repository);
    } catch (error) {
      throwIfAborted(signal);
      log('not mounted from %s: %s', repository, (error as Error).message);
      return false; // this account may push here and not read there, and some registries know no mounts
    }
  }

  async #upload(session: UploadSession, blob: BlobSource, signal: AbortSignal): Promise<void> {
    let tries = 0;
    let offsetAtTry = 0;
    if (!session.begun) {
      await session.begin();
    }
    for (;;) {
      try {
        while (session.takesChunks && session.offset < blob.size) {
          await session.sendChunk();
        }
        await session.finish();
        return;
      } catch (error) {
        throwIfAborted(signal);
        if (!(error instanceof Interruption)) {
          throw error;
        }
        // The answer to the last request may be all that was lost.
        const ended = !session.takesChunks || session.offset === blob.size;
        tries++;
        log('%s: interrupted at %d of %d bytes: %s', blob.digest, session.offset, blob.size, error.cause);
        await sleep(this.#retry.baseMs * 2 ** (tries - 1), signal);
        if (ended && (await this.hasBlob(blob.digest, signal))) {
          return;
        }
        await session.synchronise();
        if (session.offset - offsetAtTry >= progressBytes) {
          tries = 0;
        }
        offsetAtTry = session.offset;
        if (tries >= maxTriesWithoutProgress) {
          throw error.cause;
        }
      }
    }
  }

  get #repository(): string {
    return this.#connection.endpoint.repository;
  }

  get #scope(): string {
    return `repository:${this.#repository}:pull,push`;
  }
}
