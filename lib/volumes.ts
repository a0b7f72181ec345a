import { notImplemented } from './util/not-implemented';

export interface CreateVolumeOptions {
  name?: string;
  labels?: Record<string, string>;
}

export interface VolumeInspect {
  name: string;
  path: string;
  created: Date;
  labels: Record<string, string>;
}

const instead = "a mount 'name:/path' makes the volume where it's missing";

/** A named folder that outlives containers. */
export class Volume {
  readonly name: string;

  /** @internal */
  constructor(name: string) {
    this.name = name;
  }

  async inspect(): Promise<VolumeInspect> {
    throw notImplemented('volume.inspect()', instead);
  }

  async remove(_options: { force?: boolean } = {}): Promise<void> {
    throw notImplemented('volume.remove()', instead);
  }
}
