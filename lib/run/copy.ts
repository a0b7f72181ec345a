import type { Readable } from 'node:stream';

import { fileError } from '../layers/file-error';
import { processEnd, runLayerProcess } from '../layers/process';
import { pipeEnds } from '../native/pipe-ends';
import type { Reply } from '../native/protocol';
import { startTask, type Task } from '../native/task';
import { abortError, onAbort, throwIfAborted } from '../util/abort';
import type { ContainerControl } from './container-control';
import type { CopySource } from './copy-paths';
import { readContainer } from './export';
import { stillThere } from './still-there';
import type { SupervisorLink } from './supervisor-link';
import { whileServed } from './while-served';

export interface CopySettings {
  /** Owners, set-id bits and attributes stay as they are. */
  archive: boolean;
  /** A link that is the source is copied as what it leads to. */
  followLinks: boolean;
  signal?: AbortSignal;
}

export interface CopyResult {
  /** Of the archive that it went as: what is copied, and half a kilobyte for each file. */
  bytes: number;
  /** What was left out, in words: devices, attributes that the other side can't have. */
  warnings: string[];
}

/**
 * What is at `source` on this host is in the container, where `docker cp` would put it.
 * @throws ERR_FILE_NOT_FOUND, ERR_FILE_TYPE, ERR_READ_ONLY, ERR_NO_SPACE, ERR_ARCHIVE, ERR_CONTAINER_NOT_FOUND, ABORT_ERR
 */
export async function copyToContainer(
  control: ContainerControl,
  source: CopySource,
  destination: string,
  settings: CopySettings,
): Promise<CopyResult> {
  const owner = settings.archive ? 'kept' : 'root';
  return whileServed(control, settings.signal, (there, link) =>
    copy(control, link, {
      from: { path: source.path, source },
      to: { ...there, path: destination, owners: owner, plain: !settings.archive },
      doing: `cannot copy ${source.path} to ${control.record.name}:${destination}`,
      settings,
    }),
  );
}

/** The reverse. What comes is whatever the container has: nothing but what is below the destination can be touched. */
export async function copyFromContainer(
  control: ContainerControl,
  source: CopySource,
  destination: string,
  settings: CopySettings,
): Promise<CopyResult> {
  const owners = settings.archive ? 'kept' : 'own';
  return whileServed(control, settings.signal, (there, link) =>
    copy(control, link, {
      from: { ...there, path: source.path, source },
      to: { path: destination, owners, plain: !settings.archive },
      doing: `cannot copy ${control.record.name}:${source.path} to ${destination}`,
      settings,
    }),
  );
}

/** The tar archive of a path, as `docker cp NAME:PATH -` gives it. */
export async function archivePath(
  control: ContainerControl,
  source: CopySource,
  { followLinks, signal }: Omit<CopySettings, 'archive'>,
): Promise<Readable> {
  const fields = { path: source.path, as: source.contents ? '' : source.name, follow: followLinks || source.entered };
  const doing = `cannot archive ${control.record.name}:${source.path}`;
  return readContainer(control, { op: 'archive', fields, doing, signal });
}

/** The archive's members are below `path`, a folder in the container, with the owners that the archive says. */
export async function extractArchive(
  control: ContainerControl,
  path: string,
  tar: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const doing = `cannot extract into ${control.record.name}:${path}`;
  return whileServed(control, signal, async (there, link) => {
    const reply = await runLayerProcess({ op: 'extract', fields: { ...there, path }, input: tar, signal });
    if (!reply.ok) {
      throw fileError(reply.error, doing);
    }
    await stillThere(control, link, doing);
    return reply['warnings'] as string[];
  });
}

interface Copy {
  from: { bundle?: string; socket?: string; path: string; source: CopySource };
  to: { bundle?: string; socket?: string; path: string; owners: string; plain: boolean };
  doing: string;
  settings: CopySettings;
}

// The bytes go from one process to the other through a pipe; this one only waits.
async function copy(
  control: ContainerControl,
  link: SupervisorLink,
  { from, to, doing, settings }: Copy,
): Promise<CopyResult> {
  const { signal, followLinks } = settings;
  const { source, ...place } = from;
  const tasks: Task[] = [];
  const release = onAbort(signal, () => tasks.forEach((task) => task.control.close()));
  const { readEnd, writeEnd } = pipeEnds();
  try {
    let tellFolder = (_folder: boolean): void => undefined;
    const opened = new Promise<boolean>((resolve) => (tellFolder = resolve));
    const packing = startTask('pack', {
      stdio: [null, writeEnd.fd, null],
      onEvent: (event) => {
        if (event.event === 'opened') tellFolder(event['folder'] === true);
      },
    });
    tasks.push(packing);
    writeEnd.close();
    const fields = { ...place, as: source.name || 'root', follow: followLinks || source.entered };
    const packed = packing.control.request('archive', fields);
    const folder = await Promise.race([opened, packed.then((reply) => check(reply, doing) && false)]);
    throwIfAborted(signal);
    const extracting = startTask('unpack', { stdio: [readEnd.fd, null, null] });
    tasks.push(extracting);
    readEnd.close();
    const { name, contents } = source;
    const extracted = extracting.control.request('extract', { ...to, source: { name, contents, folder } });
    const replies = await Promise.all([packed, extracted]);
    return await finish(control, link, replies, doing);
  } catch (error) {
    throw signal?.aborted ? abortError(signal) : error;
  } finally {
    release();
    readEnd.close();
    writeEnd.close();
    tasks.forEach((task) => task.control.close());
    await Promise.all(tasks.map((task) => processEnd(task.pid)));
  }
}

async function finish(
  control: ContainerControl,
  link: SupervisorLink,
  [packed, extracted]: readonly [Reply, Reply],
  doing: string,
): Promise<CopyResult> {
  // Of two failures one is the other's: who reads no more makes writing fail, and half an archive is none.
  const first = !packed.ok && packed.error.step !== 'write' ? packed : extracted;
  check(first, doing);
  check(packed, doing);
  await stillThere(control, link, doing);
  const warnings = [packed, extracted].flatMap((reply) => (reply.ok ? (reply['warnings'] as string[]) : []));
  return { bytes: packed.ok ? Number(packed['size']) : 0, warnings };
}

function check(reply: Reply, doing: string): boolean {
  if (!reply.ok) {
    throw fileError(reply.error, doing);
  }
  return true;
}
