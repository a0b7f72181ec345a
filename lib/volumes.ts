import type { VolumeState } from './run/volume-actions';

export type VolumeInspect = VolumeState;

export interface CreateVolumeOptions {
  /** Of letters, digits, `_`, `.` and `-`; without one it gets 64 hexadecimal digits. */
  name?: string;
  labels?: Record<string, string>;
}

export interface VolumesOptions {
  /** Filters are ANDed, and so are labels; names are ORed. `name` is a part of the name; `dangling` those that no container has. */
  filters?: { name?: string | string[]; label?: string | string[]; dangling?: boolean };
}

/** What a Volume does; given by the Runtime. */
export interface VolumeActions {
  inspect(name: string): Promise<VolumeInspect>;
  remove(name: string, options: object): Promise<void>;
}

/** A named folder that outlives containers. */
export class Volume {
  readonly name: string;
  readonly #actions: VolumeActions;

  /** @internal */
  constructor(name: string, actions: VolumeActions) {
    this.name = name;
    this.#actions = actions;
  }

  /** @throws ERR_VOLUME_NOT_FOUND */
  async inspect(): Promise<VolumeInspect> {
    return this.#actions.inspect(this.name);
  }

  /**
   * It is gone, with its files. As Docker's, `force` only means that one that is gone already is no error.
   * @throws ERR_VOLUME_NOT_FOUND · ERR_VOLUME_IN_USE while a container has it, running or not
   */
  async remove(options: { force?: boolean } = {}): Promise<void> {
    await this.#actions.remove(this.name, options);
  }
}
