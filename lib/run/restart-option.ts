import type { RestartSection } from '../oci/spec-types';
import { checkChoice, checkInteger, checkOptions, invalidOption } from '../util/checks';

const policies = ['no', 'always', 'on-failure', 'unless-stopped'] as const;

/** `'always'`, `'on-failure:3'` or `{policy, maxRetries}`. `no` is undefined. @throws ERR_INVALID_OPTION */
export function settleRestart(option: string, value: unknown): RestartSection | undefined {
  const [, counted, retries] = (typeof value === 'string' && /^(on-failure):(\d+)$/.exec(value)) || [];
  const object =
    typeof value === 'string'
      ? { policy: counted ?? value, ...(retries === undefined ? {} : { maxRetries: Number(retries) }) }
      : checkOptions(option, value ?? null, ['policy', 'maxRetries']);
  const policy = checkChoice(typeof value === 'string' ? option : `${option}.policy`, object['policy'], policies);
  const { maxRetries } = object;
  if (maxRetries === undefined) {
    return policy === 'no' ? undefined : { policy };
  }
  const most = checkInteger(`${option}.maxRetries`, maxRetries, 0, 2147483647);
  if (policy !== 'on-failure') {
    throw invalidOption(`${option}.maxRetries`, maxRetries, "belongs to policy 'on-failure' alone");
  }
  // As in Docker 0 is no limit.
  return { policy, ...(most === 0 ? {} : { maxRetries: most }) };
}
