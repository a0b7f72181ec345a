import { applyChanges, settleChanges } from '../oci/changes';
import { settleImageConfig } from '../oci/config-option';
import { hostPlatform, parsePlatform } from '../oci/platform';
import { newImageName } from '../oci/new-name';
import { checkArgument, checkOptions, checkSignal, invalidOption } from '../util/checks';
import type { ImportSettings, ImportSource } from './import';

const names = ['reference', 'config', 'changes', 'message', 'platform', 'created', 'onProgress', 'signal'];

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
      ...(reference === undefined ? {} : { name: newImageName('import', checkArgument('reference', reference)) }),
      platform: wanted === undefined ? hostPlatform() : parsePlatform(checkArgument('platform', wanted)),
      config: applyChanges(settleImageConfig(given['config']), settleChanges(given['changes'])),
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

function checkTime(value: unknown): Date {
  const time = new Date(value as number | Date);
  const fits = typeof value === 'number' || Object.prototype.toString.call(value) === '[object Date]';
  if (!fits || Number.isNaN(time.getTime())) {
    throw invalidOption('created', value, 'must be a Date or milliseconds since 1970');
  }
  return time;
}
