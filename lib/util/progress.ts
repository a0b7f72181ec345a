export type BlobPhase = 'resolving' | 'downloading' | 'verifying' | 'extracting' | 'uploading' | 'exists' | 'done';

export interface BlobProgress {
  phase: BlobPhase;
  /** The blob it speaks of; absent for the whole. */
  digest?: string;
  /** Bytes done and, when known, in all: of this blob. */
  current: number;
  total?: number;
  /** The same over every blob of the image. */
  overall: { current: number; total?: number };
}

const leastIntervalMs = 100;

/** The same chunks; `tell` hears how many bytes have passed, `start` included. */
export async function* counted(
  source: AsyncIterable<Buffer>,
  tell: (done: number) => void,
  start = 0,
): AsyncGenerator<Buffer, void, undefined> {
  let done = start;
  for await (const chunk of source) {
    done += chunk.length;
    tell(done);
    yield chunk;
  }
}

/** Tells a listener how far a pull or load is: every change of phase, and in between at most ten times a second per blob. */
export class ProgressReporter {
  readonly #listener: ((progress: BlobProgress) => void) | undefined;
  readonly #onError: (error: unknown) => void;
  readonly #done = new Map<string, number>();
  readonly #last = new Map<string, { phase: BlobPhase; atMs: number }>();
  #total: number | undefined;

  /** What the listener throws goes to `onError`: it's called from where nobody could catch it. */
  constructor(listener: ((progress: BlobProgress) => void) | undefined, onError: (error: unknown) => void) {
    this.#listener = listener;
    this.#onError = onError;
  }

  /** The blobs of the image are known now. */
  expect(blobs: Iterable<{ digest: string; size: number }>): void {
    let total = 0;
    for (const { digest, size } of blobs) {
      this.#done.set(digest, 0);
      total += size;
    }
    this.#total = total;
  }

  whole(phase: BlobPhase): void {
    this.#tell({ phase, ...this.#overall(), overall: this.#overall() });
  }

  blob(phase: BlobPhase, blob: { digest: string; size: number }, current: number): void {
    this.#done.set(blob.digest, current);
    const last = this.#last.get(blob.digest);
    const atMs = performance.now();
    if (last?.phase === phase && atMs - last.atMs < leastIntervalMs) {
      return;
    }
    this.#last.set(blob.digest, { phase, atMs });
    this.#tell({ phase, digest: blob.digest, current, total: blob.size, overall: this.#overall() });
  }

  #overall(): { current: number; total?: number } {
    let current = 0;
    for (const bytes of this.#done.values()) {
      current += bytes;
    }
    return this.#total === undefined ? { current } : { current, total: this.#total };
  }

  #tell(progress: BlobProgress): void {
    try {
      this.#listener?.(progress);
    } catch (error) {
      this.#onError(error);
    }
  }
}
