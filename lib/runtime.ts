import type { Readable, Writable } from 'node:stream';

import { Container } from './container';
import type * as EngineModule from './engine';
import {
  type DamagedImage,
  Image,
  type ImageRemoval,
  type PresentedImage,
  type PullOptions,
  type RegistryAuth,
  type SaveOptions,
} from './image';
import { type CreateNetworkOptions, Network, type NetworkInspect, type NetworksOptions } from './networks';
import type { ContainerProcess } from './run/container-process';
import type { ExecResult } from './run/exec-result';
import type { LiveContainer } from './run/live-container';
import type {
  ContainerFilters,
  CreateOptions,
  EventOptions,
  ImageFilters,
  ImportOptions,
  LoadOptions,
  PruneOptions,
  PruneResult,
  RestoreResult,
  RunOptions,
  RuntimeEvent,
  RuntimeExecOptions,
  RuntimeInfo,
  RuntimeOptions,
  RuntimeSpawnOptions,
  VerifyOptions,
  VerifyResult,
} from './runtime-options';
import { asyncDispose } from './util/dispose';
import { type CreateVolumeOptions, Volume, type VolumesOptions } from './volumes';

/** The way in: images and containers below one data folder. Making one does no I/O below it. */
export class Runtime implements AsyncDisposable {
  readonly #engine: EngineModule.Engine;

  /** @throws ERR_INVALID_OPTION */
  constructor(options: RuntimeOptions = {}) {
    // Ten times as much code as the rest of the package: a program that makes no Runtime doesn't wait for it. Here, and not at the
    // first call, for Jest forbids a require after its teardown, where close() may well be the first call.
    const { Engine } = require('./engine') as typeof EngineModule;
    this.#engine = new Engine(options);
  }

  /** The image is usable; rejects when anything failed on the way, and then nothing of it is left. */
  async pull(reference: string, options: PullOptions = {}): Promise<Image> {
    return toImage(await this.#engine.pull(reference, options));
  }

  /** @throws ERR_IMAGE_NOT_FOUND · ERR_AMBIGUOUS_ID · ERR_STORE when it is damaged */
  async image(nameOrId: string): Promise<Image> {
    return toImage(await this.#engine.image(nameOrId));
  }

  /** Those that are whole: `damagedImages` tells of the others. */
  async images(options: { filters?: ImageFilters } = {}): Promise<Image[]> {
    return (await this.#engine.images(options)).map(toImage);
  }

  /** Images whose manifest or config is missing or damaged. Pulled again with `force`, or repaired by `verify`, they are whole again. */
  async damagedImages(): Promise<DamagedImage[]> {
    return this.#engine.damagedImages();
  }

  /**
   * As `remove` of the image that a reference, a digest or the start of an id means; with `force` also of a damaged one, for which
   * there is no Image.
   * @throws ERR_IMAGE_NOT_FOUND · ERR_AMBIGUOUS_ID · ERR_IMAGE_IN_USE · ERR_STORE when it is damaged
   */
  async removeImage(nameOrId: string, options: { force?: boolean } = {}): Promise<ImageRemoval> {
    return this.#engine.removeImage(nameOrId, options);
  }

  async create(image: string | Image, options: CreateOptions = {}): Promise<Container> {
    return this.#toContainer(await this.#engine.create(image, options));
  }

  /** Its process runs, its published ports are forwarded, and `waitFor`, if given, is met. */
  async run(image: string | Image, options: RunOptions = {}): Promise<Container> {
    return this.#toContainer(await this.#engine.run(image, options));
  }

  /** Runs argv in a fresh container to its end, and removes it. */
  async exec(
    image: string | Image,
    argv: readonly string[],
    options: RuntimeExecOptions & { encoding: 'buffer' },
  ): Promise<ExecResult<Buffer>>;
  async exec(image: string | Image, argv: readonly string[], options?: RuntimeExecOptions): Promise<ExecResult>;
  async exec(
    image: string | Image,
    argv: readonly string[],
    options: RuntimeExecOptions = {},
  ): Promise<ExecResult<string | Buffer>> {
    return this.#engine.exec(image, argv, options);
  }

  /** Starts argv in a fresh container, with live streams; the container goes when it ends. */
  async spawn(
    image: string | Image,
    argv: readonly string[],
    options: RuntimeSpawnOptions = {},
  ): Promise<ContainerProcess> {
    return this.#engine.spawn(image, argv, options);
  }

  /** @throws ERR_CONTAINER_NOT_FOUND · ERR_AMBIGUOUS_ID */
  async container(idPrefixOrName: string): Promise<Container> {
    return this.#toContainer(await this.#engine.container(idPrefixOrName));
  }

  /** The running ones, whoever made them; with `all`, or when asked for a status, every one that fits. The newest first. */
  async containers(options: { all?: boolean; filters?: ContainerFilters } = {}): Promise<Container[]> {
    return (await this.#engine.containers(options)).map((each) => this.#toContainer(each));
  }

  /** What this host can do. Never rejects for want of a right: that is what it tells. */
  async info(): Promise<RuntimeInfo> {
    return this.#engine.info();
  }

  /** What this Runtime made and owns is removed; everything else is let go. Idempotent. */
  close(): Promise<void> {
    return this.#engine.close();
  }

  async [asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * All images of an archive of `docker save`, an OCI archive (either may be compressed with gzip or zstd) or a folder with an OCI image
   * layout are usable, under the names that it gives them; rejects when anything failed on the way, and then nothing of it is left.
   */
  async load(source: string | Readable, options: LoadOptions = {}): Promise<Image[]> {
    return (await this.#engine.load(source, options)).map(toImage);
  }

  /** Several images in one archive, what they share once: see `Image.save`. */
  async save(images: (string | Image)[], target: string | Writable, options: SaveOptions = {}): Promise<void> {
    await this.#engine.save(images, target, options);
  }

  /**
   * An image of one layer: what is in a tar archive (plain, gzip or zstd; its path or its bytes), or in a folder. When it fails nothing
   * of it is left.
   * @throws ERR_ARCHIVE when it can't be read · ERR_LAYER when it's no archive, damaged, or over the limits
   */
  async import(source: string | Readable, options: ImportOptions = {}): Promise<Image> {
    return toImage(await this.#engine.import(source, options));
  }

  /**
   * What nobody needs is gone: of what is asked for, or without any option containers that have ended and images without a name, as
   * `docker system prune`.
   */
  async prune(options: PruneOptions = {}): Promise<PruneResult> {
    return this.#engine.prune(options);
  }

  /**
   * Detached containers that ended with the last boot, or whose supervisor was killed, run again if their restart policy says so:
   * `always`; `unless-stopped` and `on-failure` if nobody had stopped them. Rejects only when it could not look.
   */
  async restore(): Promise<RestoreResult> {
    return this.#engine.restore();
  }

  /**
   * Every blob was hashed, and every unpacked layer compared with what its blob unpacks to. With `repair` damaged blobs are pulled again,
   * and layers unpacked again. Rejects only when it could not look.
   */
  async verify(options: VerifyOptions = {}): Promise<VerifyResult> {
    return this.#engine.verify(options);
  }

  /**
   * The registry (`registry.example:5000`, `docker.io`) accepts the credentials, and they are kept where Docker keeps its own, or with
   * the credential helper named there.
   * @throws ERR_INVALID_OPTION · ERR_REGISTRY_AUTH when they are refused: then nothing is written
   */
  async login(registry: string, auth: RegistryAuth): Promise<void> {
    await this.#engine.login(registry, auth);
  }

  /** The credentials that `login` keeps for the registry are gone; no error when there were none. */
  async logout(registry: string): Promise<void> {
    await this.#engine.logout(registry);
  }

  /**
   * What happens to the containers and images of every process that has the same run-time folder. Ends with this Runtime.
   * @throws ERR_INVALID_OPTION · ABORT_ERR, when it is read
   */
  events(options: EventOptions = {}): AsyncIterable<RuntimeEvent> {
    return this.#engine.events(options);
  }

  /**
   * The network is there. It ends with this Runtime, unless `detached`, as containers do; where others are on it by then, when the last of
   * them has gone.
   * @throws ERR_INVALID_OPTION · ERR_NAME_IN_USE · ERR_SUBNET_IN_USE · ERR_HOST_UNSUPPORTED
   */
  async createNetwork(options: CreateNetworkOptions = {}): Promise<Network> {
    return this.#toNetwork(await this.#engine.createNetwork(options));
  }

  /** By its name, its id, or the start of one. @throws ERR_NETWORK_NOT_FOUND · ERR_AMBIGUOUS_ID */
  async network(nameOrId: string): Promise<Network> {
    return this.#toNetwork(await this.#engine.inspectNetwork(nameOrId));
  }

  /** By name; the default one, `bridge`, is among them. @throws ERR_INVALID_OPTION */
  async networks(options: NetworksOptions = {}): Promise<Network[]> {
    return (await this.#engine.networks(options)).map((state) => this.#toNetwork(state));
  }

  #toNetwork(state: NetworkInspect): Network {
    return new Network(state, {
      inspect: (name) => this.#engine.inspectNetwork(name),
      remove: (name) => this.#engine.removeNetwork(name),
      close: (name) => this.#engine.closeNetwork(name),
      connect: (name, container, given) => this.#engine.connect(name, container, given),
      disconnect: (name, container) => this.#engine.disconnect(name, container),
    });
  }

  /**
   * The volume is there. One of this name that was there before stays what it was, as with Docker.
   * @throws ERR_INVALID_OPTION
   */
  async createVolume(options: CreateVolumeOptions = {}): Promise<Volume> {
    return this.#toVolume(await this.#engine.createVolume(options));
  }

  /** @throws ERR_VOLUME_NOT_FOUND */
  async volume(name: string): Promise<Volume> {
    return this.#toVolume((await this.#engine.inspectVolume(name)).name);
  }

  /** By name; anonymous ones are among them. @throws ERR_INVALID_OPTION */
  async volumes(options: VolumesOptions = {}): Promise<Volume[]> {
    return (await this.#engine.volumes(options)).map(({ name }) => this.#toVolume(name));
  }

  #toContainer(live: LiveContainer): Container {
    return new Container(live, {
      commit: async (options) => toImage(await this.#engine.commit(live.control, options)),
      fork: async (options) => this.#toContainer(await this.#engine.fork(live.control, options)),
    });
  }

  #toVolume(name: string): Volume {
    return new Volume(name, {
      inspect: (each) => this.#engine.inspectVolume(each),
      remove: (each, options) => this.#engine.removeVolume(each, options),
    });
  }
}

function toImage({ record, actions }: PresentedImage): Image {
  return new Image(record, actions);
}
