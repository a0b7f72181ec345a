import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A fresh folder below the system's temporary folder; by its name the leak check knows it and whose it is. */
export function temporaryFolder(purpose = 'test'): string {
  return mkdtempSync(join(tmpdir(), `dinghy-${purpose}-${process.pid}-`));
}

/** The folder is gone, with all in it. */
export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 3 });
}
