import type { NetworkState } from './run/network-actions';
import { asyncDispose } from './util/dispose';
import { notImplemented } from './util/not-implemented';

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
  aliases?: string[];
  address?: string;
}

/** What a Network does; given by the Runtime. */
export interface NetworkActions {
  inspect(name: string): Promise<NetworkInspect>;
  remove(name: string): Promise<void>;
  close(name: string): Promise<void>;
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

  async connect(_container: { readonly id: string }, _options: ConnectOptions = {}): Promise<void> {
    throw notImplemented('network.connect()', 'give `network` to run or create');
  }

  async disconnect(_container: { readonly id: string }): Promise<void> {
    throw notImplemented('network.disconnect()', 'remove the container');
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
