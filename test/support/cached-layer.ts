import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import * as registry from '../../scripts/lib/registry.js';

interface Document {
  manifests: { digest: string; annotations?: Record<string, string> }[];
  layers: { digest: string }[];
}

/** The file of a test image's lowest layer, a gzipped tar archive: of `base`, a Debian root file system. Made the first time. */
export function cachedLayer(name: string): string {
  const [layout, tag] = registry.buildImages([name])[0]!.split(':') as [string, string];
  const blob = (digest: string): string => join(layout, 'blobs', digest.replace(':', '/'));
  const read = (path: string): Document => JSON.parse(readFileSync(path, 'utf8')) as Document;
  const { manifests } = read(join(layout, 'index.json'));
  const found = manifests.find(({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === tag);
  return blob(read(blob(found!.digest)).layers[0]!.digest);
}
