import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder of this package. The published build is a bundle, the tests run from source: the way up is not equally long. */
export function packageRoot(): string {
  let folder = __dirname;
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) {
    folder = dirname(folder);
  }
  return folder;
}
