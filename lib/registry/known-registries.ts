import type { Endpoint } from './endpoint';

/** How a registry wants to be spoken to. */
export interface RegistryManner {
  /** Over which of its addresses it speaks. */
  url: URL;
  /** What it asks for: its `WWW-Authenticate`. */
  challenge?: string;
  /** It was never asked: requests so far went well without. Those that don't may do so for want of credentials. */
  guessed?: true;
}

const forgottenAfterMs = 5 * 60_000;

/**
 * How registries are spoken to, for clients that come one after the other: each would have to ask anew, with a request of its own. No
 * credentials are kept.
 */
export class KnownRegistries {
  readonly #known = new Map<string, RegistryManner & { atMs: number }>();

  get(endpoint: Endpoint): RegistryManner | undefined {
    const known = this.#known.get(keyOf(endpoint));
    return known && performance.now() - known.atMs < forgottenAfterMs ? known : undefined;
  }

  set(endpoint: Endpoint, manner: RegistryManner): void {
    this.#known.set(keyOf(endpoint), { ...manner, atMs: performance.now() });
  }

  /** It has changed: it is to be asked again. */
  forget(endpoint: Endpoint): void {
    this.#known.delete(keyOf(endpoint));
  }
}

function keyOf({ bases, insecure }: Endpoint): string {
  return `${bases.join(' ')} ${insecure}`;
}
