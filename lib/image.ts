import type { Writable } from 'node:stream';

import type { SaveFormat, SaveOptions } from './archive/save';
import type { ImageRemoval } from './store/removal';

export type { ImageRemoval, SaveFormat, SaveOptions };

export type PullPolicy = 'missing' | 'always' | 'never';

export interface RegistryAuth {
  username?: string;
  password?: string;
  identityToken?: string;
  registryToken?: string;
}

export type ProgressPhase = 'resolving' | 'downloading' | 'verifying' | 'extracting' | 'uploading' | 'exists' | 'done';

/** One step of a pull or push: at most ten a second per layer. */
export interface Progress {
  phase: ProgressPhase;
  /** The blob it speaks of; absent for the whole. */
  digest?: string;
  /** Bytes done and, when known, bytes in all: of this blob. */
  current: number;
  total?: number;
  /** Bytes done and in all, over every blob of this image. */
  overall: { current: number; total?: number };
}

export type ProgressHandler = (progress: Progress) => void;

export interface PullOptions {
  platform?: string;
  auth?: RegistryAuth;
  /** Ask the registry even when the reference is here. */
  force?: boolean;
  onProgress?: ProgressHandler;
  signal?: AbortSignal;
}

export interface PushOptions {
  auth?: RegistryAuth;
  onProgress?: ProgressHandler;
  signal?: AbortSignal;
}

/** What an image says about how to run it. */
export interface ImageConfig {
  env: Record<string, string>;
  entrypoint: string[];
  command: string[];
  user: string;
  workdir: string;
  /** As written in the image: `80/tcp`. */
  ports: string[];
  volumes: string[];
  labels: Record<string, string>;
  stopSignal?: string;
  healthcheck?: { test: string[]; intervalMs?: number; timeoutMs?: number; startPeriodMs?: number; retries?: number };
}

export interface ImageHistoryEntry {
  created?: Date;
  createdBy?: string;
  comment?: string;
  emptyLayer: boolean;
  /** Bytes of the uncompressed layer; 0 for a step that changed no file. */
  size: number;
}

export interface ImageInspect {
  id: string;
  digest: string;
  references: string[];
  platform: string;
  config: ImageConfig;
  size: number;
  created?: Date;
  layers: string[];
  history: ImageHistoryEntry[];
}

/** An image that can neither be run nor told of, since its manifest or config is missing or damaged. */
export interface DamagedImage {
  /** Digest of its manifest. */
  digest: string;
  /** Digest of its config, where the manifest still tells it. */
  id?: string;
  references: string[];
  /** Which blob it is, and what to do. */
  reason: string;
}

/** What an Image is made from. */
export type ImageRecord = ImageInspect;

/** What an Image can do beyond telling its record; given by the Runtime. */
export interface ImageActions {
  tag(record: ImageRecord, reference: string): Promise<void>;
  save(record: ImageRecord, target: string | Writable, options: SaveOptions): Promise<void>;
  remove(record: ImageRecord, options: { force: boolean }): Promise<ImageRemoval>;
  push(record: ImageRecord, reference: string | undefined, options: PushOptions): Promise<void>;
}

/** What the store knows of an image, for an Image to be made from. */
export interface PresentedImage {
  record: ImageRecord;
  actions: ImageActions;
}

/** One image in the store. It never changes: another pull of the same tag gives another Image. */
export class Image {
  /** Digest of its config. */
  readonly id: string;
  /** Digest of its manifest. */
  readonly digest: string;
  readonly references: readonly string[];
  readonly platform: string;
  readonly config: Readonly<ImageConfig>;
  /** Bytes of its uncompressed layers, each as a tar. */
  readonly size: number;
  readonly created?: Date;
  /** Diff ids, the lowest first. */
  readonly layers: readonly string[];
  readonly #record: ImageRecord;
  readonly #actions: ImageActions;

  /** @internal */
  constructor(record: ImageRecord, actions: ImageActions) {
    this.id = record.id;
    this.digest = record.digest;
    this.references = record.references;
    this.platform = record.platform;
    this.config = record.config;
    this.size = record.size;
    this.created = record.created;
    this.layers = record.layers;
    this.#record = record;
    this.#actions = actions;
  }

  /** How it was built, the oldest step first. */
  async history(): Promise<ImageHistoryEntry[]> {
    return this.#record.history;
  }

  async inspect(): Promise<ImageInspect> {
    return { ...this.#record };
  }

  /** The reference names this image from now on, and no other. */
  async tag(reference: string): Promise<void> {
    await this.#actions.tag(this.#record, reference);
  }

  /**
   * As `docker rmi`: an Image that was looked up or pulled by one of several names loses that name; else it is gone with all its
   * names, and with what nothing else needs. `force` does it though a container uses the image, which keeps what it needs, or though
   * it has names in several repositories, or though it is damaged.
   * @throws ERR_IMAGE_IN_USE · ERR_STORE when it is damaged
   */
  async remove(options: { force?: boolean } = {}): Promise<ImageRemoval> {
    return this.#actions.remove(this.#record, { force: options.force ?? false });
  }

  /**
   * The registry that the reference names has the image under it. Without one the image's only name is meant. What the registry has
   * already isn't sent again, and a lost connection is gone on with where it was cut.
   * @throws ERR_INVALID_OPTION · ERR_INVALID_REFERENCE · ERR_REGISTRY_AUTH · ERR_REGISTRY · ERR_REGISTRY_UNREACHABLE · ERR_STORE when
   *   a blob is missing or damaged here
   */
  async push(reference?: string, options: PushOptions = {}): Promise<void> {
    await this.#actions.push(this.#record, reference, options);
  }

  /**
   * The image is in an archive that dinghy, Docker, Podman and skopeo load: a file, which appears when it is complete, or a stream, which
   * is ended; with format `'oci'` a folder. Under the name it was asked for by, or, asked for by its id, under all it has.
   */
  async save(target: string | Writable, options: SaveOptions = {}): Promise<void> {
    await this.#actions.save(this.#record, target, options);
  }
}
