// Another process with a Runtime of its own: `runtime-child ROOT STATE CODE [JSON]` runs CODE, the body of an async function of
// `runtime`, `given` (of the JSON) and `say`, which prints a line.
import { writeSync } from 'node:fs';

import { Runtime } from '../../lib';

const [root = '', state = '', code = '', json = 'null'] = process.argv.slice(2);
const AsyncFunction = (async () => undefined).constructor as new (
  ...parameters: string[]
) => (runtime: Runtime, given: unknown, say: (line: unknown) => void) => Promise<void>;

async function main(): Promise<void> {
  const runtime = new Runtime({ root, state });
  await new AsyncFunction('runtime', 'given', 'say', code)(runtime, JSON.parse(json), (line) => {
    writeSync(1, `${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
  });
  await runtime.close();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
