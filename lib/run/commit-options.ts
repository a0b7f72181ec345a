import { applyChanges, settleChanges } from '../oci/changes';
import type { FullImageConfig, NewImageConfig } from '../oci/compose';
import { settleImageConfig } from '../oci/config-option';
import { mergeConfig } from '../oci/container-config';
import { newImageName } from '../oci/new-name';
import { checkArgument, checkBoolean, checkOptions, checkSignal } from '../util/checks';

export interface CommitSettings {
  /** Canonical; without one the image has no name. */
  name?: string;
  config: NewImageConfig;
  changes: readonly string[];
  author: string;
  message: string;
  /** A running container stands still for the moment of which the image is; absent: where it can. */
  pause?: boolean;
  signal?: AbortSignal;
}

const names = ['reference', 'config', 'changes', 'author', 'message', 'pause', 'signal'];

/** @throws ERR_INVALID_OPTION, ERR_INVALID_REFERENCE */
export function settleCommit(options: unknown): CommitSettings {
  const given = checkOptions('commit', options, names);
  const { reference, author, message, pause, signal } = given;
  return {
    ...(reference === undefined ? {} : { name: newImageName('commit', checkArgument('reference', reference)) }),
    config: settleImageConfig(given['config']),
    changes: settleChanges(given['changes']),
    author: author === undefined ? '' : checkArgument('author', author),
    message: message === undefined ? '' : checkArgument('message', message),
    ...(pause === undefined ? {} : { pause: checkBoolean('pause', pause) }),
    ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
  };
}

/** What the new image says: `changes` over `config` over the container's own. */
export function committedConfig(container: FullImageConfig, { config, changes }: CommitSettings): FullImageConfig {
  return applyChanges(mergeConfig(config, container), changes);
}
