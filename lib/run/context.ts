import type { IdRange } from '../oci/spec-types';
import type { StorePaths } from '../store/paths';
import type { RootfsProvider } from './places';

/** What every container of one data folder has in common. */
export interface RunContext {
  paths: StorePaths;
  /** The run-time root, on tmpfs. */
  state: string;
  provider: RootfsProvider;
  /** Set when this process is not root: the container's ids are mapped onto these. */
  rootless?: { uid: number; gid: number; subuid?: IdRange; subgid?: IdRange };
}
