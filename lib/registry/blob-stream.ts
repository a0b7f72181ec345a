import { DinghyError, isDinghyError } from '../errors';
import { createLog } from '../log';
import { sleep, throwIfAborted } from '../util/abort';
import { discard, type HttpResponse, networkErrorCode } from './http';
import { requestError, responseError } from './errors';
import type { Descriptor } from '../oci/descriptor';

export interface BlobStreamOptions {
  descriptor: Descriptor;
  host: string;
  /** Asks for the blob, or with `from` for what follows that many bytes of it. */
  open: (from: number) => Promise<HttpResponse>;
  /** First pause before another try; doubles while there is no progress. */
  pauseMs: number;
  signal?: AbortSignal;
}

const log = createLog('registry');
const maxTriesWithoutProgress = 3;
// A line that drops after every few packets makes progress forever; this much counts as some.
const progressBytes = 1024 * 1024;

/**
 * The bytes of a blob, exactly as many as its descriptor says, over as many connections as it takes: when one is cut the rest is
 * asked for by Range (RFC 9110, 14.2), and where a server ignores that, read again from the start up to the place reached.
 * Counted here, not hashed: the reader must check the digest.
 * @throws ERR_DIGEST_MISMATCH when there are more bytes than there should be; ERR_REGISTRY_UNREACHABLE when three tries in a row
 *   bring less than 1 MiB; ABORT_ERR
 */
export async function* blobStream(options: BlobStreamOptions): AsyncGenerator<Buffer, void, undefined> {
  const { descriptor, host, signal } = options;
  const doing = `download ${descriptor.digest}`;
  let done = 0;
  let rangeWorks = true;
  let tries = 0;
  let doneAtTry = 0;
  for (;;) {
    let failure: unknown = Object.assign(new Error('the body ended early'), { code: 'ECONNRESET' });
    const asked = rangeWorks ? done : 0;
    const response = await options.open(asked);
    try {
      const start = await startOf(response, done, descriptor.size, doing);
      if (start === undefined && asked > 0) {
        rangeWorks = false; // once a server has answered a range with nonsense it isn't asked for one again
        continue;
      }
      for await (const chunk of start === undefined ? [] : rest(response, done - start)) {
        done += chunk.length;
        if (done > descriptor.size) {
          throw tooLong(descriptor, host);
        }
        yield chunk;
      }
      if (done === descriptor.size) {
        return;
      }
    } catch (error) {
      throwIfAborted(signal);
      if (isDinghyError(error)) {
        throw error;
      }
      failure = error;
    } finally {
      response.body.destroy();
    }
    tries = done - doneAtTry >= progressBytes ? 1 : tries + 1;
    doneAtTry = done;
    if (tries > maxTriesWithoutProgress) {
      throw cutShort(failure, descriptor, done, host, doing);
    }
    log(
      '%s: cut after %d of %d bytes (%s)',
      descriptor.digest,
      done,
      descriptor.size,
      networkErrorCode(failure) ?? failure,
    );
    await sleep(options.pauseMs * 2 ** (tries - 1), signal);
  }
}

/** Where in the blob this answer begins; undefined when its range makes no sense, so that the whole must be asked for. */
async function startOf(response: HttpResponse, done: number, size: number, doing: string): Promise<number | undefined> {
  if (response.status === 200) {
    return 0;
  }
  if (response.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.header('content-range') ?? '');
    const plausible = range && Number(range[1]) <= done && (range[2] === '*' || Number(range[2]) === size);
    return plausible ? Number(range[1]) : undefined;
  }
  if (response.status === 416) {
    await discard(response);
    return undefined;
  }
  throw await responseError(response, doing);
}

async function* rest(response: HttpResponse, skip: number): AsyncGenerator<Buffer, void, undefined> {
  let left = skip;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    if (chunk.length <= left) {
      left -= chunk.length;
      continue;
    }
    yield left > 0 ? chunk.subarray(left) : chunk;
    left = 0;
  }
}

function tooLong(descriptor: Descriptor, host: string): DinghyError {
  return new DinghyError({
    code: 'ERR_DIGEST_MISMATCH',
    message: `${host} sent more than the ${descriptor.size} bytes that ${descriptor.digest} is to have`,
    details: { digest: descriptor.digest, size: descriptor.size },
  });
}

function cutShort(failure: unknown, descriptor: Descriptor, done: number, host: string, doing: string): unknown {
  const error = requestError(failure, host, doing);
  if (!isDinghyError(error)) {
    return error;
  }
  return new DinghyError({
    code: 'ERR_REGISTRY_UNREACHABLE',
    message: `${error.message}: ${done} of ${descriptor.size} bytes came, and ${maxTriesWithoutProgress} more tries brought nothing`,
    details: { digest: descriptor.digest, size: descriptor.size, received: done },
    cause: failure,
  });
}
