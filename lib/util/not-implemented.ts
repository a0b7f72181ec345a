import { DinghyError } from '../errors';

/** The error of what the API names and this version doesn't do; `instead` says what a person can do today. */
export function notImplemented(what: string, instead: string): DinghyError {
  return new DinghyError({
    code: 'ERR_NOT_IMPLEMENTED',
    message: `${what} is not in this version: ${instead}`,
    details: { what },
  });
}
