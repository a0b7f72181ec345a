import { DinghyError } from '../errors';
import type { ImageConfig } from './image-config';
import type { HealthcheckSetting } from './settings';
import type { HealthSection } from './spec-types';

const numbers = ['intervalMs', 'timeoutMs', 'startPeriodMs', 'startIntervalMs', 'retries'] as const;

/**
 * The health check of a container: what was given, and for the rest what the image says, as in Docker; 0 stands for the default.
 *
 * @throws ERR_INVALID_OPTION when something was given but neither names a test
 */
export function makeHealth(image: ImageConfig, given: HealthcheckSetting | undefined): HealthSection | undefined {
  const test = given?.test ?? image.healthcheck?.test ?? [];
  const [kind, ...rest] = test;
  if (kind === undefined && given) {
    throw new DinghyError({
      code: 'ERR_INVALID_OPTION',
      message: 'option healthcheck: the image has no health check, so a test must be given',
      details: { option: 'healthcheck' },
    });
  }
  const args = kind === 'CMD' ? rest : kind === 'CMD-SHELL' ? [...image.shell, rest.join(' ')] : [];
  if (args.length === 0) {
    return undefined;
  }
  const section: HealthSection = { args };
  for (const name of numbers) {
    const value = given?.[name] || image.healthcheck?.[name];
    if (value) {
      // The binary takes whole milliseconds; Docker refuses less than one.
      section[name] = Math.max(1, Math.round(value));
    }
  }
  return section;
}
