import { checkInteger, checkOptions, checkRecord, invalidOption } from '../util/checks';
import { nearest } from '../util/nearest';

const names = [
  ...['core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice', 'nofile', 'nproc', 'rss', 'rtprio'],
  ...['rttime', 'sigpending', 'stack', 'as'],
];

/** -1 is unlimited, as in Docker. JSON has no 2^64-1: the largest number it carries exactly stands for it in the kernel too. */
const unlimited = Number.MAX_SAFE_INTEGER;

/** `{nofile: 1024, core: {soft: 0, hard: -1}}` in the specification's form. */
export function settleUlimits(option: string, value: unknown): { type: string; soft: number; hard: number }[] {
  const limits = checkRecord(option, value, (where, limit, name) => {
    if (!names.includes(name)) {
      const meant = nearest(name, names);
      throw invalidOption(where, name, meant ? `did you mean ${meant}` : `must be one of ${names.join(' ')}`);
    }
    const pair =
      typeof limit === 'number' ? { soft: limit, hard: limit } : checkOptions(where, limit ?? null, ['soft', 'hard']);
    const soft = checkLimit(`${where}.soft`, pair['soft']);
    const hard = checkLimit(`${where}.hard`, pair['hard'] ?? pair['soft']);
    if (soft > hard) {
      throw invalidOption(where, soft, `must have a soft limit of at most the hard one, ${hard}`);
    }
    return { type: `RLIMIT_${name.toUpperCase()}`, soft, hard };
  });
  return Object.values(limits);
}

function checkLimit(option: string, value: unknown): number {
  return value === -1 ? unlimited : checkInteger(option, value, 0, unlimited);
}
