import { createHash, type Hash } from 'node:crypto';

import { DinghyError } from '../errors';

export type DigestAlgorithm = 'sha256' | 'sha512';

/** A content digest known to be well formed: its hex is safe as a file name and in a URL. */
export interface ParsedDigest {
  readonly algorithm: DigestAlgorithm;
  readonly hex: string;
}

// Both ends are anchored and only lowercase hex passes, so that a digest can never carry a path or a query into a file name
// or a URL (CVE-2024-3727), and one content has one name.
const forms: Record<DigestAlgorithm, RegExp> = { sha256: /^[0-9a-f]{64}$/, sha512: /^[0-9a-f]{128}$/ };

/**
 * The parts of `algorithm:hex`, sha256 or sha512, in lower case (image-spec, descriptor.md "Digests").
 * @throws ERR_INVALID_DIGEST
 */
export function parseDigest(text: unknown): ParsedDigest {
  if (typeof text !== 'string') {
    throw invalid(text, 'it is not a string');
  }
  const colon = text.indexOf(':');
  if (colon < 1) {
    throw invalid(text, 'it is not of the form algorithm:hex');
  }
  const algorithm = text.slice(0, colon);
  const hex = text.slice(colon + 1);
  if (algorithm !== 'sha256' && algorithm !== 'sha512') {
    throw invalid(text, 'only sha256 and sha512 are supported');
  }
  if (!forms[algorithm].test(hex)) {
    throw invalid(text, `${algorithm} takes ${algorithm === 'sha256' ? 64 : 128} lowercase hexadecimal digits`);
  }
  return { algorithm, hex };
}

/** The digest that a file or folder is named by; undefined for any other name. */
export function digestOfName(hex: string): string | undefined {
  const algorithm = (['sha256', 'sha512'] as const).find((each) => forms[each].test(hex));
  return algorithm && `${algorithm}:${hex}`;
}

export function isDigest(text: unknown): text is string {
  try {
    parseDigest(text);
    return true;
  } catch {
    return false;
  }
}

/** The digest of bytes in memory. */
export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** A hash to feed with the bytes that are to have this digest. */
export function hashFor(digest: string): Hash {
  return createHash(parseDigest(digest).algorithm);
}

function invalid(text: unknown, why: string): DinghyError {
  const shown = typeof text === 'string' ? JSON.stringify(text.slice(0, 150)) : typeof text;
  return new DinghyError({ code: 'ERR_INVALID_DIGEST', message: `bad digest ${shown}: ${why}` });
}
