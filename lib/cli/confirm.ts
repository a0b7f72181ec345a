import { createInterface } from 'node:readline';

import type { Context } from './context';
import { UsageError } from './context';

/** Shows the warning and asks; returns when the answer is yes. @throws UsageError for any other, the end of stdin included */
export async function confirm(context: Context, warning: string, what: string): Promise<void> {
  context.stdout.write(`WARNING! ${warning}\nAre you sure you want to continue? [y/N] `);
  const lines = createInterface({ input: context.stdin });
  try {
    for await (const line of lines) {
      if (/^y(es)?$/i.test(line.trim())) return;
      break;
    }
  } finally {
    lines.close();
  }
  throw new UsageError(`${what} has been cancelled`);
}
