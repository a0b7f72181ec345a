// The same root file system as images of different shapes, for the pull benchmark.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

const mediaType = (kind: string): string => `application/vnd.oci.image.${kind}`;

/** An OCI layout in `folder`, whose layers are these tars, gzipped. */
export function writeLayout(folder: string, tag: string, tars: readonly Buffer[]): string {
  const blobs = join(folder, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (bytes: Buffer, type: string): Descriptor => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hex), bytes);
    return { mediaType: type, digest: `sha256:${hex}`, size: bytes.length };
  };
  const putJson = (value: object, type: string): Descriptor => put(Buffer.from(JSON.stringify(value)), type);
  const diffIds = tars.map((tar) => `sha256:${createHash('sha256').update(tar).digest('hex')}`);
  const layers = tars.map((tar) => put(gzipSync(tar), mediaType('layer.v1.tar+gzip')));
  const config = putJson(
    { architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: diffIds } },
    mediaType('config.v1+json'),
  );
  const manifest = putJson(
    { schemaVersion: 2, mediaType: mediaType('manifest.v1+json'), config, layers },
    mediaType('manifest.v1+json'),
  );
  const annotations = { 'org.opencontainers.image.ref.name': tag };
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(folder, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  return `${folder}:${tag}`;
}

/** The files of an image of an OCI layout (which deletes none), dealt into `count` tars of about the same size. */
export function tarsOf(source: string, count: number, scratch: string): Buffer[] {
  const root = join(scratch, 'root');
  mkdirSync(root, { recursive: true });
  const [folder = '', tag = ''] = source.split(/:(?=[^:]*$)/);
  const read = (path: string): Record<string, never> => JSON.parse(readFileSync(join(folder, path), 'utf8')) as never;
  const blob = (digest: string): string => join('blobs', ...digest.split(':'));
  const index = read('index.json')['manifests'] as unknown as {
    digest: string;
    annotations?: Record<string, string>;
  }[];
  const named =
    index.find(({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === tag) ?? index[0]!;
  const { layers } = read(blob(named.digest)) as unknown as { layers: Descriptor[] };
  for (const { digest } of layers) {
    execFileSync('tar', ['-C', root, '--numeric-owner', '-xzpf', join(folder, blob(digest))]);
  }
  const listed = execFileSync('find', ['.', '-mindepth', '1', '-printf', '%s\\t%p\\0'], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  });
  const files = listed
    .toString()
    .split('\0')
    .filter(Boolean)
    .map((line) => ({ size: Number(line.split('\t')[0]), path: line.slice(line.indexOf('\t') + 1) }));
  const share = files.reduce((sum, { size }) => sum + size + 512, 0) / count;
  const parts: string[][] = Array.from({ length: count }, () => []);
  let done = 0;
  for (const { size, path } of files) {
    parts[Math.min(count - 1, Math.floor(done / share))]!.push(path);
    done += size + 512;
  }
  const tars = parts.map((paths) =>
    execFileSync('tar', ['-C', root, '--numeric-owner', '--no-recursion', '--null', '-T', '-', '-cf', '-'], {
      input: paths.join('\0'),
      maxBuffer: 1024 * 1024 * 1024,
    }),
  );
  rmSync(root, { recursive: true });
  return tars;
}
