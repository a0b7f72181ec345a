import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The version of this package. lib/util and dist/util lie equally deep. */
export function packageVersion(): string {
  const text = readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
