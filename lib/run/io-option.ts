import { statSync } from 'node:fs';

import type { IoSetting, IoThrottle } from '../oci/settings';
import type { SpecResources } from '../oci/spec-types';
import { checkAbsolutePath, checkInteger, checkOptions, checkRecord, invalidOption } from '../util/checks';
import { parseSize } from '../util/size';
import { numbersOf } from './device-number';

const throttles = {
  readBytesPerSecond: 'throttleReadBpsDevice',
  writeBytesPerSecond: 'throttleWriteBpsDevice',
  readOperationsPerSecond: 'throttleReadIOPSDevice',
  writeOperationsPerSecond: 'throttleWriteIOPSDevice',
} as const;

type Throttle = keyof typeof throttles;

const names = Object.keys(throttles) as Throttle[];

/** `{weight: 500, readBytesPerSecond: {'/dev/sda': '10m'}}`; a rate is at least 1. @throws ERR_INVALID_OPTION */
export function settleIo(option: string, value: unknown): IoSetting {
  const given = checkOptions(option, value, ['weight', ...names]);
  const weight = given['weight'];
  return {
    ...(weight === undefined ? {} : { weight: checkInteger(`${option}.weight`, weight, 10, 1000) }),
    throttles: names.flatMap((name) => (given[name] === undefined ? [] : settleRates(option, name, given[name]))),
  };
}

function settleRates(option: string, name: Throttle, value: unknown): IoThrottle[] {
  const ofBytes = name.endsWith('BytesPerSecond');
  const rates = checkRecord(`${option}.${name}`, value, (where, rate, device) => ({
    kind: throttles[name],
    device: checkAbsolutePath(where, device, 'of a block device'),
    rate: checkInteger(where, ofBytes ? parseSize(where, rate) : rate, 1, Number.MAX_SAFE_INTEGER),
  }));
  return Object.values(rates);
}

/** The devices by their numbers, as they are on this host now. @throws ERR_INVALID_OPTION for what is no disk */
export function resolveIo({ weight, throttles: asked }: IoSetting): NonNullable<SpecResources['blockIO']> {
  const found: NonNullable<SpecResources['blockIO']> = weight === undefined ? {} : { weight };
  for (const { kind, device, rate } of asked) {
    (found[kind] ??= []).push({ ...diskNumbers(device), rate });
  }
  return found;
}

function diskNumbers(device: string): { major: number; minor: number } {
  const stat = statSync(device, { throwIfNoEntry: false });
  if (stat?.isBlockDevice() !== true) {
    throw invalidOption('io', device, 'limits block devices of this host, such as /dev/sda');
  }
  const numbers = numbersOf(stat.rdev);
  // The kernel counts by disk, and says ENODEV of a partition (blkg_conf_prep).
  if (statSync(`/sys/dev/block/${numbers.major}:${numbers.minor}/partition`, { throwIfNoEntry: false })) {
    throw invalidOption('io', device, 'limits whole disks: give the disk that has this partition');
  }
  return numbers;
}
