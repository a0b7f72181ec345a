import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { TlsSettings } from './http';

const folders = ['/etc/docker/certs.d', '/etc/containers/certs.d'];

/**
 * The authorities and the client certificate kept for a host in `certs.d/<host[:port]>`: `*.crt` are authorities, `*.cert` with
 * the `*.key` of the same name is ours (containers-certs.d(5)). A few small files, read once per pull.
 */
export function certificatesFor(host: string, roots: readonly string[] = folders): TlsSettings {
  for (const root of roots) {
    const folder = join(root, host.toLowerCase());
    const names = listFolder(folder);
    if (names.length === 0) {
      continue;
    }
    const pair = names.find((name) => name.endsWith('.cert') && names.includes(name.replace(/\.cert$/, '.key')));
    const ca = names.filter((name) => name.endsWith('.crt')).map((name) => readFileSync(join(folder, name), 'utf8'));
    return {
      ...(ca.length > 0 ? { ca } : {}),
      ...(pair
        ? {
            certificate: readFileSync(join(folder, pair), 'utf8'),
            key: readFileSync(join(folder, pair.replace(/\.cert$/, '.key')), 'utf8'),
          }
        : {}),
    };
  }
  return {};
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
