import { posix } from 'node:path';

import type { MountSetting, RecursiveBind, VolumesFromSetting } from '../oci/settings';
import {
  checkArray,
  checkBoolean,
  checkChoice,
  checkInteger,
  checkOptions,
  checkRecord,
  checkText,
  invalidOption,
  isPlainObject,
} from '../util/checks';
import { parseSize } from '../util/size';

const propagations = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;
const recursiveBinds = ['enabled', 'disabled', 'writable', 'readonly'] as const;
const flags = ['ro', 'rw', 'exec', 'noexec', 'suid', 'nosuid', 'dev', 'nodev'];
const volumeName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/;

/** `mounts` and `tmpfs` in one form. @throws ERR_INVALID_OPTION naming the entry */
export function settleMounts(mounts: unknown, tmpfs: unknown): MountSetting[] {
  const settled = [
    ...(mounts === undefined ? [] : checkArray('mounts', mounts, settleMount)),
    ...(tmpfs === undefined ? [] : settleTmpfs(tmpfs)),
  ];
  const seen = new Set<string>();
  for (const { target } of settled) {
    if (seen.has(target)) {
      throw invalidOption('mounts', target, 'must name each target once');
    }
    seen.add(target);
  }
  return settled;
}

/** `'name'`, `'name:ro'` or `'name:rw'`. @throws ERR_INVALID_OPTION */
export function settleVolumesFrom(option: string, value: unknown): VolumesFromSetting {
  const text = checkText(option, value, "must be a container's name or id, with ':ro' or ':rw' after it if you like");
  const [container = '', mode, ...rest] = text.split(':');
  if (container === '' || rest.length > 0 || !(mode === undefined || mode === 'ro' || mode === 'rw')) {
    throw invalidOption(option, value, "must be a container's name or id, with ':ro' or ':rw' after it if you like");
  }
  return { container, readOnly: mode === 'ro' };
}

function settleMount(option: string, value: unknown): MountSetting {
  if (typeof value === 'string') {
    return settleMountString(option, value);
  }
  if (!isPlainObject(value)) {
    throw invalidOption(option, value, "must be a string like '/host:/path:ro' or an object");
  }
  const { type, source, target, readOnly, subpath, noCopy, recursive, propagation, size, mode } = checkOptions(
    option,
    value,
    ['type', 'source', 'target', 'readOnly', 'subpath', 'noCopy', 'recursive', 'propagation', 'size', 'mode'],
  );
  const kind = checkChoice(`${option}.type`, type, ['bind', 'volume', 'tmpfs']);
  if (kind !== 'tmpfs' && (size !== undefined || mode !== undefined)) {
    throw invalidOption(option, kind, 'size and mode belong to type tmpfs');
  }
  if (kind !== 'volume' && (subpath !== undefined || noCopy !== undefined)) {
    throw invalidOption(option, kind, 'subpath and noCopy belong to type volume');
  }
  if (kind !== 'bind' && recursive !== undefined) {
    throw invalidOption(option, kind, 'recursive belongs to type bind');
  }
  const isReadOnly = readOnly === undefined ? false : checkBoolean(`${option}.readOnly`, readOnly);
  return {
    type: kind,
    ...settleSource(`${option}.source`, kind, source),
    target: checkTarget(`${option}.target`, target),
    readOnly: isReadOnly,
    ...(subpath === undefined ? {} : { subpath: checkSubpath(`${option}.subpath`, subpath) }),
    ...(noCopy === undefined ? {} : { noCopy: checkBoolean(`${option}.noCopy`, noCopy) }),
    ...(recursive === undefined ? {} : { recursive: checkRecursive(`${option}.recursive`, recursive, isReadOnly) }),
    ...(propagation === undefined
      ? {}
      : { propagation: checkChoice(`${option}.propagation`, propagation, propagations) }),
    ...(size === undefined ? {} : { sizeBytes: parseSize(`${option}.size`, size) }),
    ...(mode === undefined ? {} : { mode: checkInteger(`${option}.mode`, mode, 0, 0o7777) }),
    options: [],
  };
}

/** Where it leads is seen when it is mounted; what is wrong on its face is refused here. */
function checkSubpath(option: string, value: unknown): string {
  const text = checkText(option, value);
  if (posix.isAbsolute(text) || text.split('/').includes('..')) {
    throw invalidOption(option, value, "must be a path inside the volume: relative, without '..'");
  }
  return text;
}

function checkRecursive(option: string, value: unknown, isReadOnly: boolean): RecursiveBind {
  const recursive = checkChoice(option, value, recursiveBinds);
  if ((recursive === 'writable' || recursive === 'readonly') && !isReadOnly) {
    throw invalidOption(option, value, 'needs readOnly: true');
  }
  return recursive;
}

function settleSource(option: string, type: MountSetting['type'], source: unknown): { source?: string } {
  if (type === 'tmpfs') {
    if (source !== undefined) {
      throw invalidOption(option, source, 'a tmpfs has no source');
    }
    return {};
  }
  if (source === undefined && type === 'volume') {
    return {};
  }
  if (type === 'volume') {
    return { source: checkVolumeName(option, source) };
  }
  const text = checkText(option, source);
  if (!posix.isAbsolute(text)) {
    throw invalidOption(option, source, 'must be an absolute path');
  }
  return { source: text };
}

/** `/host:/path:ro`, `name:/path`, `/path`. */
function settleMountString(option: string, text: string): MountSetting {
  const parts = checkText(option, text).split(':');
  if (parts.length > 3) {
    throw invalidOption(option, text, "must be like '/host:/path:ro', 'name:/path' or '/path'");
  }
  const [source, target, words] = parts.length === 1 ? [undefined, parts[0], undefined] : parts;
  const type = source?.startsWith('/') ? 'bind' : 'volume';
  return {
    type,
    ...settleSource(option, type, source),
    target: checkTarget(option, target),
    ...(type === 'bind' ? { createSource: true } : {}),
    ...settleWords(option, words, type),
  };
}

function settleWords(
  option: string,
  words: string | undefined,
  type: MountSetting['type'],
): Pick<MountSetting, 'readOnly' | 'options' | 'propagation' | 'noCopy'> {
  const result: ReturnType<typeof settleWords> = { readOnly: false, options: [] };
  for (const word of words?.split(',') ?? []) {
    if (word === 'ro' || word === 'rw') {
      result.readOnly = word === 'ro';
    } else if ((propagations as readonly string[]).includes(word)) {
      result.propagation = word;
    } else if (word === 'nocopy' && type === 'volume') {
      result.noCopy = true;
    } else if (flags.includes(word)) {
      result.options.push(word);
    } else if (!['z', 'Z', 'rbind', 'consistent', 'cached', 'delegated'].includes(word)) {
      // The excluded words are Docker's and mean nothing here: SELinux labels, file sharing on other systems.
      throw invalidOption(option, word, `must be one of ${flags.join(' ')} ${propagations.join(' ')}`);
    }
  }
  return result;
}

function settleTmpfs(value: unknown): MountSetting[] {
  if (Array.isArray(value)) {
    return value.map((target: unknown, index) => settleTmpfsMount(`tmpfs[${index}]`, target, ''));
  }
  const entries = checkRecord('tmpfs', value, (option, words, target) => settleTmpfsMount(option, target, words));
  return Object.values(entries);
}

function settleTmpfsMount(option: string, target: unknown, words: unknown): MountSetting {
  if (typeof words !== 'string') {
    throw invalidOption(option, words, "must be a string like 'size=64m,mode=1777', or ''");
  }
  const mount: MountSetting = { type: 'tmpfs', target: checkTarget(option, target), readOnly: false, options: [] };
  for (const word of words.split(',').filter(Boolean)) {
    const [name, setting = ''] = word.split('=', 2) as [string, string?];
    if (name === 'size') {
      mount.sizeBytes = parseSize(option, setting);
    } else if (name === 'mode' && /^[0-7]{1,4}$/.test(setting)) {
      mount.mode = Number.parseInt(setting, 8);
    } else if (name === 'ro' || name === 'rw') {
      mount.readOnly = name === 'ro';
    } else if (flags.includes(word) || /^(uid|gid|nr_inodes)=\d+k?$/.test(word)) {
      mount.options.push(word);
    } else {
      throw invalidOption(option, word, 'must be size=…, mode=… (octal), uid=…, gid=…, nr_inodes=… or a mount flag');
    }
  }
  return mount;
}

/** Where a mount may go: an absolute path that does not replace what the confinement itself stands on. */
export function checkTarget(option: string, value: unknown): string {
  const text = checkText(option, value);
  if (!posix.isAbsolute(text)) {
    throw invalidOption(option, value, 'must be an absolute path in the container');
  }
  const target = posix.normalize(text).replace(/(.)\/+$/, '$1');
  // A volume over proc or sys would let the container choose what the masks and the kernel settings are written to
  // (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561).
  if (target === '/' || ['/proc', '/sys', '/dev'].includes(target) || target.startsWith('/proc/')) {
    throw invalidOption(option, value, 'must not be /, /proc, /sys or /dev, nor lie in /proc');
  }
  return target;
}

/** @throws ERR_INVALID_OPTION */
export function checkVolumeName(option: string, value: unknown): string {
  const name = checkText(option, value);
  if (!volumeName.test(name)) {
    throw invalidOption(option, value, 'must be a name of [a-zA-Z0-9_.-] that begins with a letter or a digit');
  }
  return name;
}
