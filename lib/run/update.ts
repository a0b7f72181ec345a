import { DinghyError, isDinghyError } from '../errors';
import { type Limits, limitsOf, makeLimits } from '../oci/spec-linux';
import type { RestartSection, RuntimeSpec } from '../oci/spec-types';
import { checkOptions, invalidOption } from '../util/checks';
import { readSpec } from './config-file';
import type { ContainerControl } from './container-control';
import { checkSwap, limitOptionNames, type LimitSettings, settleLimits } from './limit-options';
import type { RestartOption } from './options';
import { settleRestart } from './restart-option';

export interface UpdateSettings {
  limits: LimitSettings;
  /** Undefined: it stays. */
  restart?: RestartSection | { policy: 'no' };
}

/** @throws ERR_INVALID_OPTION */
export function settleUpdate(options: unknown): UpdateSettings {
  const given = checkOptions('update', options, [...limitOptionNames, 'restart']);
  const { restart } = given;
  return {
    limits: settleLimits(given),
    ...(restart === undefined ? {} : { restart: settleRestart('restart', restart) ?? { policy: 'no' } }),
  };
}

/**
 * The limits and the policy are in force, and stay so for its next starts; after a failure nothing has changed.
 *
 * @throws ERR_INVALID_OPTION, also for what the kernel refuses; ERR_HOST_UNSUPPORTED
 */
export async function updateContainer(control: ContainerControl, settings: UpdateSettings): Promise<void> {
  const { restart } = settings;
  if (restart && restart.policy !== 'no' && control.record.autoRemove) {
    throw invalidOption(
      'restart',
      restart.policy,
      'what removes itself at its end (autoRemove) cannot be started again',
    );
  }
  const limits = withSwap(settings.limits, limitsIn(readSpec(control.places.config)).limits);
  const resources = makeLimits(limits);
  await control.update({
    ...(Object.keys(resources).length > 0 ? { resources } : {}),
    ...(restart ? { restart } : {}),
  });
}

/** Memory and swap are written together; swap that was Docker's default, as much as memory, stays the default. */
function withSwap(limits: LimitSettings, present: Partial<Limits>): LimitSettings {
  const { memoryBytes, memorySwapBytes } = limits;
  if (memoryBytes === undefined && memorySwapBytes === undefined) {
    return limits;
  }
  const memory = memoryBytes ?? present.memoryBytes;
  const usual = present.memoryBytes === undefined || present.memorySwapBytes === 2 * present.memoryBytes;
  const kept = usual && memory !== undefined ? 2 * memory : present.memorySwapBytes;
  const swap = memorySwapBytes ?? kept;
  checkSwap(memory, swap);
  return { ...limits, memoryBytes: memory, memorySwapBytes: swap };
}

/** What its config.json says now: update() changes that alone, whoever asks for it. */
export function limitsIn(spec: RuntimeSpec | undefined): { limits: Partial<Limits>; restart: RestartOption } {
  return {
    limits: spec ? limitsOf(spec.linux.resources) : {},
    restart: spec?.dinghy.restart ?? { policy: 'no' },
  };
}

/** A limit that the kernel refuses is a bad option: a memory limit below what is in use, a CPU that isn't there. */
export function refusedLimit(error: unknown): unknown {
  if (!isDinghyError(error) || error.code !== 'ERR_CONTAINER_START' || !error.step?.startsWith('limit ')) {
    return error;
  }
  const { message, step, cause } = error;
  return new DinghyError({ code: 'ERR_INVALID_OPTION', message, step, cause, details: { option: optionOf(step) } });
}

function optionOf(step: string): string {
  const file = step.replace('limit ', '');
  const options: [RegExp, string][] = [
    [/^memory\.(memsw|swap)/, 'memorySwap'],
    [/^memory\.(soft|low)/, 'memoryReservation'],
    [/^memory/, 'memory'],
    [/^cpuset/, 'cpuset'],
    [/^cpu\.(shares|weight)/, 'cpuShares'],
    [/^cpu/, 'cpus'],
  ];
  return options.find(([pattern]) => pattern.test(file))?.[1] ?? 'pids';
}
