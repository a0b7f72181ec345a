import { readSpec } from './config-file';
import { readRecord } from './record';
import { limitsIn } from './update';
import type { Limits } from '../oci/spec-linux';
import type { NetworkSection } from '../oci/spec-types';
import type { ContainerControl } from './container-control';
import { readHealth } from './health';
import type { ContainerInspect, ContainerStatus, NetworkEndpoint } from './inspect';
import type { ContainerRecord } from './record';
import { endOf, type Observation, observe, unseenEnd, waitResult } from './state';
import { signalName } from '../oci/signals';

/** What is known of the container now. @throws ERR_CONTAINER_NOT_FOUND */
export function describeContainer(control: ContainerControl): ContainerInspect {
  const record = readRecord(control.places.record);
  if (!record) {
    throw control.notFound();
  }
  const seen = observe(control.places);
  const { state } = seen;
  const status = statusOf(seen);
  const spec = readSpec(control.places.config);
  const { limits, restart } = limitsIn(spec);
  const health = readHealth(control.places.health, seen);
  const isOver = status === 'exited' || status === 'restarting';
  const end = status === 'restarting' ? endOf(state!) : isOver ? waitResult(state) : undefined;
  const error = seen.dead ? unseenEnd(state) : state?.error;
  return {
    id: record.id,
    name: record.name,
    image: record.image,
    imageId: record.imageId,
    status,
    ...(state && state.pid > 0 && seen.alive ? { pid: state.pid } : {}),
    ...(end ? { exitCode: end.exitCode, signal: end.signal } : {}),
    oomKilled: end?.oomKilled ?? false,
    oomKills: state?.oomKills ?? 0,
    ...(error ? { error } : {}),
    created: new Date(record.created),
    ...(state?.startedAt ? { startedAt: new Date(state.startedAt) } : {}),
    // Nobody knows when one ended that nobody saw end.
    ...(state?.finishedAt && end?.exitCode !== null && isOver && !seen.dead
      ? { finishedAt: new Date(state.finishedAt) }
      : {}),
    restartCount: state?.restartCount ?? 0,
    restart,
    detached: record.detached,
    command: record.args,
    workdir: record.workdir,
    user: record.user,
    env: Object.fromEntries(record.env.map(splitVariable)),
    labels: record.labels,
    hostname: record.hostname,
    tty: record.tty,
    ports: seen.alive && state && state.ports.length > 0 ? state.ports : record.ports,
    mounts: record.mounts.map(({ type, name, source, target, readOnly }) => ({
      type,
      ...(name === undefined ? {} : { name }),
      ...(source === '' ? {} : { source }),
      target,
      readOnly,
    })),
    limits: shownLimits(limits),
    ...(health ? { health } : {}),
    networks: networksOf(spec?.dinghy.network ?? record.network),
    stopSignal: signalName(record.stopSignal),
    stopTimeoutMs: record.stopTimeoutMs,
    logPath: control.places.log,
    logLost: state?.logLost ?? 0,
  };
}

function shownLimits(limits: Partial<Limits>): ContainerInspect['limits'] {
  const { memoryBytes, memorySwapBytes, cpus, cpuShares, cpuset, pids } = limits;
  const all = { memory: memoryBytes, memorySwap: memorySwapBytes, cpus, cpuShares, cpuset, pids };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

export function statusOf({ state, dead }: Observation): ContainerStatus {
  switch (state?.status) {
    case 'running':
    case 'paused':
    case 'restarting':
      // Its supervisor was killed, and it with it.
      return dead ? 'exited' : state.status;
    case 'stopped':
      return 'exited';
    default:
      return 'created';
  }
}

function networksOf(network: NetworkSection | ContainerRecord['network']): Record<string, NetworkEndpoint> {
  if (!('endpoints' in network)) {
    const name = network.mode === 'container' ? `container:${network.container}` : network.mode;
    return { [name]: { aliases: [] } };
  }
  return Object.fromEntries(
    network.endpoints.map(({ network: name, address, address6, gateway, mac, aliases }) => [
      name,
      { address, ...(address6 === undefined ? {} : { address6 }), gateway, mac, aliases },
    ]),
  );
}

function splitVariable(entry: string): [string, string] {
  const equals = entry.indexOf('=');
  return [entry.slice(0, equals), entry.slice(equals + 1)];
}
