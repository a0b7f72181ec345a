import { createHash } from 'node:crypto';

import { DinghyError } from '../errors';
import type { Descriptor } from '../oci/descriptor';
import { parseDigest } from '../oci/digest';

/**
 * Returns when the bytes are what the descriptor promises. A right digest with a wrong size fails too: whoever planned with the
 * size was told something untrue.
 * @throws ERR_DIGEST_MISMATCH
 */
export function verifyBytes(
  bytes: Buffer,
  expected: Pick<Descriptor, 'digest'> & { size?: number },
  what: string,
): void {
  const { algorithm, hex } = parseDigest(expected.digest);
  const actual = createHash(algorithm).update(bytes).digest('hex');
  if (actual !== hex) {
    throw mismatch(what, `its digest is ${algorithm}:${actual}, not ${expected.digest}`, expected.digest);
  }
  if (expected.size !== undefined && expected.size !== bytes.length) {
    throw mismatch(
      what,
      `it has ${bytes.length} bytes, not the ${expected.size} that its descriptor says`,
      expected.digest,
    );
  }
}

function mismatch(what: string, why: string, digest: string): DinghyError {
  return new DinghyError({
    code: 'ERR_DIGEST_MISMATCH',
    message: `the ${what} is not what it should be: ${why}: it was damaged on the way or changed at the registry`,
    details: { digest },
  });
}
