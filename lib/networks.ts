import { asyncDispose } from './util/dispose';
import { notImplemented } from './util/not-implemented';

export interface CreateNetworkOptions {
  name?: string;
  /** CIDR. */
  subnet?: string;
  gateway?: string;
  ipv6?: boolean;
  /** No way out to other networks. */
  internal?: boolean;
  labels?: Record<string, string>;
  mtu?: number;
  detached?: boolean;
}

export interface NetworkInspect {
  name: string;
  subnet: string;
  gateway: string;
  internal: boolean;
  labels: Record<string, string>;
  containers: { id: string; name: string; address: string }[];
}

export interface ConnectOptions {
  aliases?: string[];
  address?: string;
}

const instead = "containers on the default network, 'bridge', reach each other by address";

/** A network containers can join. */
export class Network implements AsyncDisposable {
  readonly name: string;
  readonly subnet: string;

  /** @internal */
  constructor(record: { name: string; subnet: string }) {
    this.name = record.name;
    this.subnet = record.subnet;
  }

  async inspect(): Promise<NetworkInspect> {
    throw notImplemented('network.inspect()', instead);
  }

  async connect(_container: { readonly id: string }, _options: ConnectOptions = {}): Promise<void> {
    throw notImplemented('network.connect()', instead);
  }

  async disconnect(_container: { readonly id: string }): Promise<void> {
    throw notImplemented('network.disconnect()', instead);
  }

  async remove(): Promise<void> {
    throw notImplemented('network.remove()', instead);
  }

  async [asyncDispose](): Promise<void> {
    await this.remove();
  }
}
