import { join } from 'node:path';

import { DinghyError } from '../errors';
import { parseDigest } from '../oci/digest';

/**
 * Every name on disk. What comes from an image or a user (digests, ids, names) is checked here, once more, so that no path that
 * is made from it can leave its folder (CVE-2024-3727).
 */
export class StorePaths {
  /** The data root: 0700, absolute. */
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  get ociLayout(): string {
    return join(this.root, 'oci-layout');
  }

  get index(): string {
    return join(this.root, 'index.json');
  }

  get blobs(): string {
    return join(this.root, 'blobs');
  }

  blobFolder(algorithm: 'sha256' | 'sha512'): string {
    return join(this.blobs, algorithm);
  }

  blob(digest: string): string {
    const { algorithm, hex } = parseDigest(digest);
    return join(this.blobFolder(algorithm), hex);
  }

  get layers(): string {
    return join(this.root, 'layers');
  }

  /** Holds `diff/`, which overlay mounts and nobody changes, and `layer.json`. */
  layer(diffId: string): string {
    return join(this.layers, parseDigest(diffId).hex);
  }

  get fixes(): string {
    return join(this.root, 'fixes');
  }

  /** Holds `diff/`: what this chain needs above the layer that its id ends in. */
  fix(chainId: string): string {
    return join(this.fixes, parseDigest(chainId).hex);
  }

  /** A whole tree: all that this chain shows, for chains that are too long for overlay. Beside the fix of the same id. */
  squash(chainId: string): string {
    return join(this.fix(chainId), 'squash');
  }

  get containers(): string {
    return join(this.root, 'containers');
  }

  container(id: string): string {
    return join(this.containers, checked('container id', id, /^[0-9a-f]{64}$/));
  }

  get names(): string {
    return join(this.root, 'names');
  }

  /** A symbolic link to the container's id. */
  name(name: string): string {
    return join(this.names, checked('container name', name, /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/));
  }

  /** A symbolic link to the id of the container that is shared by the key with this hash. */
  reuse(keyHash: string): string {
    return join(this.root, 'reuse', checked('reuse key', keyHash, /^[0-9a-f]{32}$/));
  }

  get networks(): string {
    return join(this.root, 'networks');
  }

  network(name: string): string {
    return join(this.networks, checked('network name', name, /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/));
  }

  /** Holds a folder for each layer that was frozen of a container: what no image has and nobody can make again. */
  get frozen(): string {
    return join(this.root, 'frozen');
  }

  get volumes(): string {
    return join(this.root, 'volumes');
  }

  volume(name: string): string {
    return join(this.volumes, checked('volume name', name, /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/));
  }

  get locks(): string {
    return join(this.root, 'locks');
  }

  lock(name: string): string {
    return join(this.locks, checked('lock name', name, /^[a-z0-9][a-z0-9-]{0,200}$/));
  }

  get temporary(): string {
    return join(this.root, 'tmp');
  }
}

function checked(what: string, text: string, form: RegExp): string {
  if (!form.test(text)) {
    throw new DinghyError({ code: 'ERR_INVALID_OPTION', message: `bad ${what} ${JSON.stringify(text.slice(0, 300))}` });
  }
  return text;
}
