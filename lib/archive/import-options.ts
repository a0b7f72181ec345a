import { DinghyError } from '../errors';
import { hostPlatform, parsePlatform } from '../oci/platform';
import { canonicalName, parseReference } from '../oci/reference';
import { checkArgument, checkOptions, checkSignal, invalidOption } from '../util/checks';
import { settleImageConfig } from './config-option';
import type { ImportSettings, ImportSource } from './import';

const names = ['reference', 'config', 'message', 'platform', 'created', 'onProgress', 'signal'];

/** What the user gave to `import`, checked; a platform of the Runtime counts where the call names none. */
export function settleImport(
  source: unknown,
  options: unknown,
  platform: string | undefined,
): { source: ImportSource; settings: ImportSettings; signal?: AbortSignal } {
  const given = checkOptions('import', options, names);
  const { reference, message, created, signal } = given;
  const wanted = given['platform'] ?? platform;
  return {
    source: checkSource(source),
    settings: {
      ...(reference === undefined ? {} : { name: checkName(reference) }),
      platform: wanted === undefined ? hostPlatform() : parsePlatform(checkArgument('platform', wanted)),
      config: settleImageConfig(given['config']),
      message: message === undefined ? `Imported from ${nameOf(source)}` : checkArgument('message', message),
      created: created === undefined ? new Date() : checkTime(created),
    },
    ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
  };
}

function checkSource(source: unknown): ImportSource {
  if (typeof source === 'string' && source !== '' && !source.includes('\0')) {
    return source;
  }
  if (typeof source === 'object' && source !== null && Symbol.asyncIterator in source) {
    return source as AsyncIterable<Buffer>;
  }
  throw invalidOption('source', source, 'must be the path of a tar archive or a folder, or a Readable');
}

/** As Docker writes it into the history. */
function nameOf(source: unknown): string {
  return typeof source === 'string' ? source : '-';
}

function checkName(value: unknown): string {
  const text = checkArgument('reference', value);
  const reference = parseReference(text);
  if (reference.digest !== undefined) {
    throw new DinghyError({
      code: 'ERR_INVALID_REFERENCE',
      message: `cannot import as ${JSON.stringify(text)}: a digest is not given but had, so leave it out`,
    });
  }
  return canonicalName(reference);
}

function checkTime(value: unknown): Date {
  const time = new Date(value as number | Date);
  const fits = typeof value === 'number' || Object.prototype.toString.call(value) === '[object Date]';
  if (!fits || Number.isNaN(time.getTime())) {
    throw invalidOption('created', value, 'must be a Date or milliseconds since 1970');
  }
  return time;
}
