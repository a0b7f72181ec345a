import { isDinghyError } from '../../lib/errors';
import { seededRandom } from './random-image';

/** A failure says it; `DINGHY_TEST_SEED` then repeats it. */
export const seed = Number(process.env['DINGHY_TEST_SEED'] ?? 20261124);
const seconds = Number(process.env['DINGHY_FUZZ_SECONDS'] ?? 0);
const slowMs = 1000;
// A process that shares its processors may stand still for a while, for no fault of the parser.
const patience = 3;

export const random = seededRandom(seed);
export const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;

/** Calls `work` that often, or for as long as `npm run soak` wants. */
export async function again(rounds: number, work: () => unknown): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  for (let round = 0; seconds > 0 ? performance.now() < deadline : round < rounds; round++) {
    await work();
  }
}

/** How long a test that calls `again` may take. */
export const fuzzTimeoutMs = seconds * 1000 + 60_000;

const tokens = [
  'null',
  '[]',
  '{}',
  '-0',
  '1e400',
  '-1',
  '9007199254740993',
  '""',
  'true',
  '[[[[[[]]]]]]',
  '"sha256:../../x"',
  '{"manifests":[]}',
  '"application/vnd.oci.image.index.v1+json"',
  '{"__proto__":{"polluted":1}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '"\\u0000"',
  '[null,null]',
  '{"size":"7"}',
  '[1,2',
  `${'['.repeat(2000)}`,
];

/** Text that is nearly a document: pieces are replaced, doubled, dropped, or bytes flipped. */
export function mutate(text: string): Buffer {
  let result = text;
  for (let count = 1 + Math.floor(random() * 4); count > 0; count--) {
    const values = [...result.matchAll(/:("[^"]*"|[0-9]+|\[|\{|null|true)/g)];
    const target = pick(values);
    if (!target || random() < 0.2) {
      result = disturb(result);
    } else if (random() < 0.1) {
      result = result.replace(/"[a-z]\w*":/i, `"${pick(['__proto__', 'constructor', 'toString', ''])}":`);
    } else {
      const end = target.index + (random() < 0.2 ? 1 : target[0].length);
      result = `${result.slice(0, target.index + 1)}${pick(tokens)}${result.slice(end)}`;
    }
  }
  const bytes = Buffer.from(result);
  if (random() < 0.1 && bytes.length > 0) {
    bytes[Math.floor(random() * bytes.length)] = random() * 256;
  }
  return bytes;
}

function disturb(text: string): string {
  const at = Math.floor(random() * text.length);
  const piece = pick(['', '"', ',', '{', ']', '\\', '=', ' ', '\n', String.fromCharCode(random() * 65536)]);
  // Now and then many of one: what is quadratic shows.
  const repeated = piece.repeat(random() < 0.02 ? 20_000 : 1);
  return text.slice(0, at) + repeated + text.slice(at + Math.floor(random() * 3));
}

/** A value or a typed error, within a second, and no prototype is changed. Gives the value. */
export async function onlyTypedErrors<T>(input: unknown, action: () => T | Promise<T>): Promise<T | undefined> {
  const complain = (what: string, cause?: unknown): never => {
    throw new Error(`seed ${seed}: ${JSON.stringify(String(input).slice(0, 2000))} ${what}`, { cause });
  };
  const before = prototypes();
  const started = process.cpuUsage();
  const startedAt = performance.now();
  let value: T | undefined;
  try {
    value = await action();
  } catch (error) {
    if (!isDinghyError(error)) {
      complain(`gave ${String(error)}`, error);
    }
  }
  const { user, system } = process.cpuUsage(started);
  if ((user + system) / 1000 > slowMs || performance.now() - startedAt > patience * slowMs) {
    complain('took over a second');
  }
  if (prototypes() !== before) {
    complain('changed a prototype');
  }
  return value;
}

function prototypes(): string {
  return [Object, Array, Function, String, Number, Map]
    .map((each) => Reflect.ownKeys(each.prototype as object).length)
    .join();
}
