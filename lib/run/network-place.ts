import { existsSync } from 'node:fs';

import { DinghyError } from '../errors';
import { bridgeName } from '../network/bridge-network';
import { reserveOnBridge } from '../network/reserve';
import type { ImageConfig } from '../oci/image-config';
import type { ContainerSettings } from '../oci/settings';
import type { NetworkSection } from '../oci/spec-types';
import type { RunContext } from './context';

/** What was reserved of a network for one container. */
export interface NetworkPlace {
  section: NetworkSection;
  /** Files that hold the reservation: unlinked on removal. */
  release: string[];
  undo: () => void;
}

/** The container's place in its network: on the bridge, an address nobody else has. */
export function reserveNetwork(
  context: RunContext,
  containerId: string,
  settings: ContainerSettings,
  image: ImageConfig,
): NetworkPlace {
  const { network, ports, publishAll } = settings;
  if (network !== 'bridge') {
    return { section: { mode: network }, release: [], undo: () => undefined };
  }
  const { paths } = context;
  if (context.rootless) {
    throw new DinghyError({
      code: 'ERR_HOST_UNSUPPORTED',
      message: "network 'bridge' needs root in this version: run as root, or give network 'none' or 'host'",
      step: 'bridge',
      exitCode: 125,
    });
  }
  return reserveOnBridge({
    folder: paths.network('bridge'),
    bridge: bridgeName(paths.root),
    containerId,
    hasVanished: (id) => !existsSync(paths.container(id)),
    ports,
    exposedPorts: image.ports,
    publishAll,
  });
}
