import type { NetworkState } from './run/network-actions';
import { asyncDispose } from './util/dispose';

export type NetworkInspect = NetworkState;

export interface CreateNetworkOptions {
  /** Of letters, digits, `_`, `.` and `-`; without one it gets a name like a container's. */
  name?: string;
  /** CIDR; without one a free /24 of 10.128.0.0/9. */
  subnet?: string;
  /** The host's address on it; without one the subnet's first. */
  gateway?: string;
  ipv6?: boolean;
  /** No way out to other networks, and none in. */
  internal?: boolean;
  labels?: Record<string, string>;
  mtu?: number;
  /** True: the network outlives this process. */
  detached?: boolean;
}

export interface NetworksOptions {
  /** Filters are ANDed, and so are labels; names and ids are ORed. `name` is a part of the name; `dangling` those that no container is on. */
  filters?: { name?: string | string[]; id?: string | string[]; label?: string | string[]; dangling?: boolean };
}

export interface ConnectOptions {
  /** More names of it there. */
  aliases?: string[];
  /** Of the network's subnet; without one a free one. */
  address?: string;
}

/** What a Network does; given by the Runtime. */
export interface NetworkActions {
  inspect(name: string): Promise<NetworkInspect>;
  remove(name: string): Promise<void>;
  close(name: string): Promise<void>;
  connect(name: string, container: unknown, options: object): Promise<void>;
  disconnect(name: string, container: unknown): Promise<void>;
}

/** A network containers can join. */
export class Network implements AsyncDisposable {
  readonly name: string;
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly subnet: string;
  readonly #actions: NetworkActions;

  /** @internal */
  constructor(record: { name: string; id: string; subnet: string }, actions: NetworkActions) {
    this.name = record.name;
    this.id = record.id;
    this.subnet = record.subnet;
    this.#actions = actions;
  }

  /** @throws ERR_NETWORK_NOT_FOUND */
  async inspect(): Promise<NetworkInspect> {
    return this.#actions.inspect(this.name);
  }

  /**
   * The container (or the one of this name or id) is on the network too: at once if it runs, and from its next start on.
   * @throws ERR_NETWORK_NOT_FOUND · ERR_CONTAINER_NOT_FOUND · ERR_ADDRESS_IN_USE · ERR_INVALID_OPTION where it is on it already, or has the network of
   * something else
   */
  async connect(container: { readonly id: string } | string, options: ConnectOptions = {}): Promise<void> {
    await this.#actions.connect(this.name, container, options);
  }

  /**
   * The container is not on the network any more, and its address there is free. Published ports lead to its next network, if it has one.
   * @throws ERR_NETWORK_NOT_FOUND · ERR_CONTAINER_NOT_FOUND · ERR_INVALID_OPTION where it is not on it
   */
  async disconnect(container: { readonly id: string } | string): Promise<void> {
    await this.#actions.disconnect(this.name, container);
  }

  /**
   * It is gone.
   * @throws ERR_NETWORK_NOT_FOUND · ERR_NETWORK_IN_USE while a container is on it, running or not
   */
  async remove(): Promise<void> {
    await this.#actions.remove(this.name);
  }

  /** One that the Runtime owns is removed, or, where others are on it, when the last of them has gone; any other is let go. */
  async close(): Promise<void> {
    await this.#actions.close(this.name);
  }

  async [asyncDispose](): Promise<void> {
    await this.close();
  }
}
