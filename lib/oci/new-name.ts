import { DinghyError } from '../errors';
import { canonicalName, parseReference } from './reference';

/**
 * The canonical name that an image is to have. `doing`: `tag an image`.
 * @throws ERR_INVALID_REFERENCE
 */
export function newImageName(doing: string, text: string): string {
  const reference = parseReference(text);
  if (reference.digest !== undefined) {
    throw new DinghyError({
      code: 'ERR_INVALID_REFERENCE',
      message: `cannot ${doing} as ${JSON.stringify(text)}: a digest is not given but had, so leave it out`,
    });
  }
  return canonicalName(reference);
}
