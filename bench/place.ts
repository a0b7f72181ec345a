import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Runtime } from 'dinghy';

import { buildImages, imageCache, pushImage, startRegistry } from '../scripts/lib/registry.js';

export interface BenchPlace {
  readonly runtime: Runtime;
  /** The OCI layout and tag of each image: `folder:tag`. */
  readonly images: Record<string, string>;
  close(): Promise<void>;
}

const tmpfsMagic = 0x01021994;

/** A folder on tmpfs, where there is one: a disk's moods are not what is measured. */
export function benchBase(): string {
  return statfsSync('/dev/shm').type === tmpfsMagic ? '/dev/shm' : tmpdir();
}

/** A runtime whose images come from a registry. */
export async function openBench(wanted: Record<string, string>): Promise<BenchPlace> {
  const names = Object.keys(wanted);
  const sources = buildImages(names);
  const images = Object.fromEntries(names.map((name, index) => [name, sources[index]!]));
  const folder = mkdtempSync(join(benchBase(), `dinghy-bench-${process.pid}-`));
  const registry = await startRegistry({ storage: imageCache('registry') });
  for (const name of names) pushImage(registry.host, images[name]!, `library/${name}:${wanted[name]}`);
  const runtime = new Runtime({
    root: join(folder, 'root'),
    state: join(folder, 'state'),
    registries: { 'docker.io': { mirrors: [registry.host] } },
  });
  return {
    runtime,
    images,
    async close() {
      await runtime.close();
      await registry.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
