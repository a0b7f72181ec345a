import type { NewImageConfig } from './compose';
import type { ImageHealthcheck } from './image-config';
import { signalNumber } from './signals';
import {
  checkAbsolutePath,
  checkArgument,
  checkArray,
  checkDuration,
  checkInteger,
  checkOptions,
  checkRecord,
  checkText,
  invalidOption,
  type PlainObject,
} from '../util/checks';

type Check<T> = (option: string, value: unknown) => T;

const checks: { readonly [Name in keyof Required<NewImageConfig>]: Check<NewImageConfig[Name]> } = {
  env: (option, value) => checkRecord(option, value, checkVariable),
  entrypoint: (option, value) => checkArray(option, value, checkArgument),
  command: (option, value) => checkArray(option, value, checkArgument),
  user: (option, value) => (value === '' ? '' : checkText(option, value)),
  workdir: checkPath,
  ports: (option, value) => checkArray(option, value, checkPort),
  volumes: (option, value) => checkArray(option, value, checkPath),
  labels: (option, value) => checkRecord(option, value, checkArgument),
  stopSignal: checkStopSignal,
  healthcheck: checkHealthcheck,
};

/**
 * The option `config` of a call that makes an image, in the shape of `Image.config`, each part checked.
 * @throws ERR_INVALID_OPTION
 */
export function settleImageConfig(value: unknown): NewImageConfig {
  const given = checkOptions('config', value, Object.keys(checks));
  const entries = Object.entries(checks).flatMap(([name, check]) =>
    given[name] === undefined ? [] : [[name, (check as Check<unknown>)(`config.${name}`, given[name])]],
  );
  return Object.fromEntries(entries) as NewImageConfig;
}

function checkVariable(option: string, value: unknown, name: string): string {
  if (name === '' || /[=\0]/.test(name)) {
    throw invalidOption(option, name, "must be the name of a variable, without '=' and NUL");
  }
  return checkArgument(option, value);
}

function checkPath(option: string, value: unknown): string {
  return checkAbsolutePath(option, value, 'in the image');
}

function checkPort(option: string, value: unknown): string {
  const [, number, protocol] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(String(value)) ?? [];
  if (number === undefined || Number(number) < 1 || Number(number) > 65535) {
    throw invalidOption(option, value, "must be a port such as 80 or '53/udp'");
  }
  return `${Number(number)}/${protocol ?? 'tcp'}`;
}

function checkStopSignal(option: string, value: unknown): string {
  const text = checkText(option, value);
  if (signalNumber(text) === undefined) {
    throw invalidOption(option, value, "must be a signal such as 'SIGTERM'");
  }
  return text;
}

function checkHealthcheck(option: string, value: unknown): ImageHealthcheck {
  const times = ['intervalMs', 'timeoutMs', 'startPeriodMs', 'startIntervalMs'];
  const given: PlainObject = checkOptions(option, value, ['test', ...times, 'retries']);
  const test = checkArray(`${option}.test`, given['test'], checkArgument);
  const form = test[0];
  const fits = form === 'NONE' ? test.length === 1 : form === 'CMD' ? test.length > 1 : test.length === 2;
  if (!['NONE', 'CMD', 'CMD-SHELL'].includes(form ?? '') || !fits) {
    throw invalidOption(`${option}.test`, test, "must be ['NONE'], ['CMD', program, …] or ['CMD-SHELL', text]");
  }
  const settled = times.flatMap((name) =>
    given[name] === undefined ? [] : [[name, checkDuration(`${option}.${name}`, given[name])]],
  );
  const retries =
    given['retries'] === undefined
      ? {}
      : { retries: checkInteger(`${option}.retries`, given['retries'], 0, 1_000_000) };
  return { test, ...(Object.fromEntries(settled) as object), ...retries };
}
