import { constants } from 'node:os';

const numbers = constants.signals as Readonly<Record<string, number | undefined>>;
const names = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));
// signal(7): the C library keeps 32 and 33 for itself.
const realTimeFirst = 34;
const realTimeLast = 64;

/** The number of `SIGTERM`, `term`, `15` or `SIGRTMIN+3`; undefined when there is no such signal. */
export function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    return number >= 1 && number <= realTimeLast ? number : undefined;
  }
  const name = text.toUpperCase().replace(/^(?!SIG)/, 'SIG');
  const realTime = /^SIGRTM(IN|AX)(?:([+-])(\d+))?$/.exec(name);
  if (realTime) {
    const offset = Number(realTime[3] ?? 0) * (realTime[2] === '-' ? -1 : 1);
    const number = (realTime[1] === 'IN' ? realTimeFirst : realTimeLast) + offset;
    return number >= realTimeFirst && number <= realTimeLast ? number : undefined;
  }
  return Object.hasOwn(numbers, name) ? numbers[name] : undefined;
}

/** `SIGKILL` for 9; `SIGRTMIN+3` for 37. */
export function signalName(number: number): NodeJS.Signals {
  const known = names.get(number) ?? (number >= realTimeFirst ? `SIGRTMIN+${number - realTimeFirst}` : `SIG${number}`);
  // SIGIOT and SIGPOLL are second names of numbers that everybody knows by the first.
  return (aliases[known] ?? known) as NodeJS.Signals;
}

const aliases: Readonly<Record<string, string>> = { SIGIOT: 'SIGABRT', SIGPOLL: 'SIGIO' };
