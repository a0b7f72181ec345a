import { checkChoice, checkOptions, checkSignal, invalidOption } from '../util/checks';
import type { LoadOptions } from './load';
import type { SaveFormat, SaveOptions } from './save';

export const saveFormats: readonly SaveFormat[] = ['docker-archive', 'oci-archive', 'oci'];

/** @throws ERR_INVALID_OPTION */
export function settleSave(options: unknown): SaveOptions {
  const { format, signal } = checkOptions('save', options, ['format', 'signal']);
  return {
    ...(format === undefined ? {} : { format: checkChoice('format', format, saveFormats) }),
    ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
  };
}

/** @throws ERR_INVALID_OPTION */
export function settleLoad(options: unknown): LoadOptions {
  const { onProgress, signal } = checkOptions('load', options, ['onProgress', 'signal']);
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalidOption('onProgress', onProgress, 'must be a function');
  }
  return {
    ...(onProgress === undefined ? {} : { onProgress: onProgress as NonNullable<LoadOptions['onProgress']> }),
    ...(signal === undefined ? {} : { signal: checkSignal('signal', signal) }),
  };
}

/** A path, or a stream of any realm. @throws ERR_INVALID_OPTION */
export function checkPlace<T>(option: 'source' | 'target', value: string | T): string | T {
  const method = option === 'source' ? Symbol.asyncIterator : 'write';
  const isStream = typeof value === 'object' && value !== null && method in value;
  if (!isStream && (typeof value !== 'string' || value === '' || value.includes('\0'))) {
    throw invalidOption(option, value, `must be a path or a ${option === 'source' ? 'Readable' : 'Writable'}`);
  }
  return value;
}
