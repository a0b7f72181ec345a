import type { ContainerSettings } from '../oci/settings';
import { checkInteger, invalidOption, type PlainObject } from '../util/checks';
import { parseSize } from '../util/size';

/** The limits of a container that update() can change, checked each by itself. */
export type LimitSettings = Pick<
  ContainerSettings,
  'memoryBytes' | 'memoryReservationBytes' | 'memorySwapBytes' | 'cpus' | 'cpuShares' | 'cpuset' | 'pids'
>;

export const limitOptionNames = [
  ...['memory', 'memoryReservation', 'memorySwap', 'cpus', 'cpuShares', 'cpuset', 'pids'],
] as const;

/** @throws ERR_INVALID_OPTION */
export function settleLimits(options: PlainObject): LimitSettings {
  const given = <T>(name: string, check: (option: string, value: unknown) => T): T | undefined =>
    options[name] === undefined ? undefined : check(name, options[name]);
  return {
    memoryBytes: given('memory', checkMemory),
    memoryReservationBytes: given('memoryReservation', parseSize),
    memorySwapBytes: given('memorySwap', (option, value) => (value === -1 ? -1 : parseSize(option, value))),
    cpus: given('cpus', checkCpus),
    cpuShares: given('cpuShares', (option, value) => checkInteger(option, value, 2, 262144)),
    cpuset: given('cpuset', checkCpuset),
    pids: given('pids', (option, value) => checkInteger(option, value, -1, 4194304)),
  };
}

/** Memory and swap together are no less than memory alone. @throws ERR_INVALID_OPTION */
export function checkSwap(memoryBytes: number | undefined, memorySwapBytes: number | undefined): void {
  if (memorySwapBytes === undefined || memorySwapBytes === -1) {
    return;
  }
  if (memoryBytes === undefined || memorySwapBytes < memoryBytes) {
    throw invalidOption('memorySwap', memorySwapBytes, 'is memory and swap together: needs memory, and to be no less');
  }
}

function checkMemory(option: string, value: unknown): number {
  const bytes = parseSize(option, value);
  if (bytes < 6 * 1024 * 1024) {
    throw invalidOption(option, value, 'must be at least 6m, which a process needs to start');
  }
  return bytes;
}

function checkCpus(option: string, value: unknown): number {
  // The kernel refuses quotas under 1 ms in its period of 100 ms.
  if (typeof value !== 'number' || !(value >= 0.01) || value > 8192) {
    throw invalidOption(option, value, 'must be a number of CPUs, at least 0.01');
  }
  return value;
}

function checkCpuset(option: string, value: unknown): string {
  if (typeof value !== 'string' || !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(value)) {
    throw invalidOption(option, value, "must be a list of CPUs like '0-2,5'");
  }
  return value;
}
