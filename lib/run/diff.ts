import { pathText } from '../layers/path-bytes';
import type { ContainerControl } from './container-control';
import { readContainer } from './export';

export interface DiffEntry {
  kind: 'added' | 'modified' | 'deleted';
  /** Absolute, as inside the container. A byte that is no UTF-8 is U+DC80…U+DCFF. */
  path: string;
}

export interface DiffOptions {
  signal?: AbortSignal;
}

const kinds: Readonly<Record<string, DiffEntry['kind']>> = { A: 'added', C: 'modified', D: 'deleted' };

/**
 * What the container's processes changed in its files, in the order of the paths: docs/files.md says what counts.
 * @throws ERR_CONTAINER_NOT_FOUND, ERR_ARCHIVE, ERR_SUPERVISOR, ABORT_ERR
 */
export async function diffContainer(control: ContainerControl, { signal }: DiffOptions): Promise<DiffEntry[]> {
  const doing = `cannot tell what container ${control.record.name} changed`;
  const changes: DiffEntry[] = [];
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of await readContainer(control, { op: 'diff', doing, signal })) {
    const bytes: Buffer = rest.length > 0 ? Buffer.concat([rest, chunk as Buffer]) : (chunk as Buffer);
    let from = 0;
    for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, from)) {
      changes.push(parseChange(bytes.subarray(from, end)));
      from = end + 1;
    }
    rest = bytes.subarray(from);
  }
  return changes;
}

// One change as the binary writes it: `A/etc/added`.
function parseChange(bytes: Buffer): DiffEntry {
  return { kind: kinds[String.fromCharCode(bytes[0]!)]!, path: pathText(bytes.subarray(1)) };
}
