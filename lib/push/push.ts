import { setMaxListeners } from 'node:events';

import { DinghyError } from '../errors';
import { canonicalName, parseReference, type Reference } from '../oci/reference';
import { RegistryClient, type RegistryClientOptions } from '../registry/client';
import type { RegistryAuth } from '../registry/credentials';
import type { PushTarget } from '../registry/push-target';
import { throwReason } from '../store/add-content';
import type { StoredImage } from '../store/images';
import type { Store } from '../store/store';
import { abortable, abortError, onAbort, throwIfAborted } from '../util/abort';
import { inParallel } from '../util/in-parallel';
import { type BlobProgress, ProgressReporter } from '../util/progress';
import { type ImageContent, readContent } from './content';
import { mountCandidates } from './mount-candidates';
import { pushBlob } from './push-blob';

export interface PushParts {
  store: Store;
  registry?: RegistryClientOptions;
}

export interface PushOptions {
  auth?: RegistryAuth;
  onProgress?: (progress: BlobProgress) => void;
  signal?: AbortSignal;
}

const parallelBlobs = 4;
const patienceMs = 100;

/**
 * The registry that the reference names has the image under it: what it lacked was mounted from its other repositories, or uploaded.
 * Until that is done the reference there means what it meant before; after a failure some blobs may be there that nothing names,
 * for the registry to collect.
 * @param text absent: the image's only name
 * @throws ERR_INVALID_OPTION, ERR_INVALID_REFERENCE, ERR_STORE when a blob is missing or damaged here, ERR_REGISTRY…, ABORT_ERR
 */
export async function pushImage(
  image: Pick<StoredImage, 'digest' | 'references'>,
  text: string | undefined,
  parts: PushParts,
  options: PushOptions = {},
): Promise<void> {
  const { store } = parts;
  const reference = chooseReference(image, text);
  throwIfAborted(options.signal);
  const failing = new AbortController();
  setMaxListeners(0, failing.signal); // one for each request of each blob
  const reporter = new ProgressReporter(options.onProgress, (error) => failing.abort(error));
  const stopListening = onAbort(options.signal, () => failing.abort(abortError(options.signal!)));
  const client = new RegistryClient(parts.registry);
  const lease = await store.lease();
  let target: PushTarget | undefined;
  try {
    reporter.whole('resolving');
    await lease.hold([image.digest], failing.signal);
    const content = await readContent(store, image.digest);
    await lease.hold(
      content.blobs.map(({ digest }) => digest),
      failing.signal,
    );
    reporter.expect(content.blobs);
    target = await client.pushTarget(reference, options.auth);
    await pushContent(store, reference, content, { target, reporter, failing });
    reporter.whole('done');
  } catch (error) {
    throwReason(failing.signal);
    throw error;
  } finally {
    stopListening();
    await lease.release();
    await giveUp(client, target, options.signal);
  }
  throwReason(failing.signal);
}

async function pushContent(
  store: Store,
  reference: Reference,
  content: ImageContent,
  { target, reporter, failing }: { target: PushTarget; reporter: ProgressReporter; failing: AbortController },
): Promise<void> {
  const candidates = await mountCandidates(store, reference);
  await inParallel(content.blobs, parallelBlobs, failing, async (blob) => {
    await pushBlob(blob, { store, target, reporter, mountFrom: candidates(blob.digest), signal: failing.signal });
  });
  await target.putManifest(reference.digest ?? reference.tag!, content.manifest, failing.signal);
}

/** Who aborts isn't kept waiting: what is still to be told to the registry is told behind their back, within seconds. */
async function giveUp(client: RegistryClient, target: PushTarget | undefined, signal?: AbortSignal): Promise<void> {
  const settled = (target?.settled() ?? Promise.resolve()).finally(() => client.close());
  await (signal?.aborted ? abortable(settled, AbortSignal.timeout(patienceMs)).catch(() => undefined) : settled);
}

function chooseReference(image: Pick<StoredImage, 'digest' | 'references'>, text: string | undefined): Reference {
  const { references } = image;
  if (text === undefined && references.length !== 1) {
    const why =
      references.length === 0
        ? 'the image has no name: say where to push it'
        : `the image has ${references.length} names: say which of ${references.join(', ')}`;
    throw new DinghyError({
      code: 'ERR_INVALID_OPTION',
      message: `reference: ${why}`,
      details: { option: 'reference' },
    });
  }
  const reference = parseReference(text ?? references[0]);
  if (reference.digest !== undefined && reference.digest !== image.digest) {
    throw new DinghyError({
      code: 'ERR_INVALID_REFERENCE',
      message: `cannot push to ${canonicalName(reference)}: the digest of this image's manifest is ${image.digest}`,
    });
  }
  return reference;
}
