import type { HealthcheckSetting } from '../oci/settings';
import { checkArgument, checkArray, checkDuration, checkInteger, checkOptions, invalidOption } from '../util/checks';

const durations = ['intervalMs', 'timeoutMs', 'startPeriodMs', 'startIntervalMs'] as const;

/** @throws ERR_INVALID_OPTION */
export function settleHealthcheck(option: string, value: unknown): HealthcheckSetting {
  const given = checkOptions(option, value ?? null, ['test', ...durations, 'retries']);
  const setting: HealthcheckSetting = {};
  if (given['test'] !== undefined) {
    setting.test = settleTest(`${option}.test`, given['test']);
  }
  for (const name of durations) {
    if (given[name] !== undefined) {
      setting[name] = checkTime(`${option}.${name}`, given[name]);
    }
  }
  if (given['retries'] !== undefined) {
    setting.retries = checkInteger(`${option}.retries`, given['retries'], 0, 2147483647);
  }
  return setting;
}

/** A string is for the shell, an array is argv or one of Docker's forms. */
function settleTest(option: string, value: unknown): string[] {
  if (typeof value === 'string') {
    return value === 'none' ? ['NONE'] : ['CMD-SHELL', checkCommand(option, value)];
  }
  const words = checkArray(option, value, checkArgument);
  const [kind, ...rest] = words;
  if (kind === 'NONE' && rest.length === 0) {
    return words;
  }
  const isForm = kind === 'CMD' || kind === 'CMD-SHELL';
  const command = isForm ? rest : words;
  if (kind === 'NONE' || command.length === 0 || command[0] === '' || (kind === 'CMD-SHELL' && rest.length !== 1)) {
    throw invalidOption(option, value, "must be ['CMD', program, …], ['CMD-SHELL', text], ['NONE'] or argv");
  }
  return isForm ? words : ['CMD', ...words];
}

function checkCommand(option: string, value: string): string {
  if (value.trim() === '') {
    throw invalidOption(option, value, "must be a command, or 'none'");
  }
  return checkArgument(option, value);
}

/** As in Docker 0 is the default, and less than a millisecond is refused. */
function checkTime(option: string, value: unknown): number {
  const ms = checkDuration(option, value);
  if (ms > 0 && ms < 1) {
    throw invalidOption(option, value, 'must be at least 1, or 0 for the default');
  }
  return ms;
}
