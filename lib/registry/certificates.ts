import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import type { TlsSettings } from './http';

const systemFolders = ['/etc/docker/certs.d', '/etc/containers/certs.d'];

/**
 * The authorities and the client certificate kept for a host in `certs.d/<host[:port]>`: `*.crt` are authorities, `*.cert` with
 * the `*.key` of the same name is ours (containers-certs.d(5)), the user's folder before the system's. A few small files, read once
 * per pull.
 */
export function certificatesFor(host: string, env: NodeJS.ProcessEnv): TlsSettings {
  const own = join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'containers/certs.d');
  for (const root of [own, ...systemFolders]) {
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
