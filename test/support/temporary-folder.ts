import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A fresh folder below the system's temporary folder; its name starts with `dinghy-`, by which the leak check knows it. */
export function temporaryFolder(purpose = 'test'): string {
  return mkdtempSync(join(tmpdir(), `dinghy-${purpose}-`));
}

/** The folder is gone, with all in it. */
export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 3 });
}
