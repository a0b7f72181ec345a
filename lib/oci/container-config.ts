import type { FullImageConfig, NewImageConfig } from './compose';
import type { ImageConfig, ImageHealthcheck } from './image-config';
import type { ContainerSettings, HealthcheckSetting } from './settings';
import { signalName } from './signals';

/**
 * What an image would say that is made of this container: what its own image says, with the container's options over it, as Docker
 * keeps it of every container. Published ports count as exposed, and anonymous volumes as volumes; what is this host's does not (host
 * names, binds, limits, networks).
 */
export function configOfContainer(image: ImageConfig, settings: ContainerSettings): FullImageConfig {
  const { stopSignal } = settings;
  const healthcheck = joinHealthchecks(settings.healthcheck, image.healthcheck);
  const anonymous = settings.mounts.flatMap(({ type, source, target }) =>
    type === 'volume' && source === undefined ? [target] : [],
  );
  const exposed = settings.ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`);
  return {
    env: { ...imageVariables(image.env), ...settings.env },
    entrypoint: settings.entrypoint ?? image.entrypoint,
    // The image's command belongs to its entrypoint and goes when that is replaced.
    command: settings.command ?? (settings.entrypoint ? [] : image.command),
    user: settings.user ?? image.user,
    workdir: settings.workdir ?? image.workdir,
    ports: [...new Set([...image.ports, ...exposed])],
    volumes: [...new Set([...image.volumes, ...anonymous])],
    labels: { ...image.labels, ...settings.labels },
    ...(stopSignal !== undefined
      ? { stopSignal: signalName(stopSignal) }
      : image.stopSignal === undefined
        ? {}
        : { stopSignal: image.stopSignal }),
    ...(healthcheck ? { healthcheck } : {}),
    shell: image.shell,
  };
}

/**
 * The configuration `given` where it says something, and `container`'s for the rest: names of variables and labels, ports and volumes
 * are joined, and a given entrypoint does not take the container's command, as in Docker.
 */
export function mergeConfig(given: NewImageConfig, container: FullImageConfig): FullImageConfig {
  const healthcheck = joinHealthchecks(given.healthcheck, container.healthcheck);
  return {
    ...container,
    ...given,
    env: { ...container.env, ...given.env },
    labels: { ...container.labels, ...given.labels },
    ports: [...new Set([...(container.ports ?? []), ...(given.ports ?? [])])],
    volumes: [...new Set([...(container.volumes ?? []), ...(given.volumes ?? [])])],
    command: given.command ?? (given.entrypoint ? [] : (container.command ?? [])),
    ...(healthcheck ? { healthcheck } : {}),
  };
}

/** The one over the other, part by part; 0 stands for the other's. */
function joinHealthchecks(
  over: HealthcheckSetting | undefined,
  under: ImageHealthcheck | undefined,
): ImageHealthcheck | undefined {
  const test = over?.test ?? under?.test;
  if (!test) {
    return undefined;
  }
  const given = Object.entries(over ?? {}).filter(([, value]) => Boolean(value));
  return { ...under, ...Object.fromEntries(given), test };
}

/** An image's variables by name. */
export function imageVariables(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map((entry) => {
      const equals = entry.indexOf('=');
      return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}
