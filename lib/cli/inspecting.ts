import type { Context } from './context';
import { ExitStatus } from './context';
import { describe } from './failure';
import { expand } from './table';

/** Looks everything up; prints what there is in a JSON array, or by the template one in a line. One failure makes the status 1. */
export async function inspectEach(
  context: Context,
  names: readonly string[],
  format: string | undefined,
  lookUp: (name: string) => Promise<unknown>,
): Promise<void> {
  const found: unknown[] = [];
  let failed = false;
  for (const name of names) {
    try {
      found.push(await lookUp(name));
    } catch (error) {
      context.stderr.write(`Error: ${describe(error)}\n`);
      failed = true;
    }
  }
  if (format === undefined) context.stdout.write(`${JSON.stringify(found, null, 4)}\n`);
  else found.forEach((one) => context.stdout.write(`${expand(format, one)}\n`));
  if (failed) throw new ExitStatus(1);
}
