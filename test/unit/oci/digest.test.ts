import { digestOf, isDigest, parseDigest } from '../../../lib/oci/digest';

describe('parseDigest', () => {
  it('takes sha256 and sha512', () => {
    expect(parseDigest(`sha256:${'0f'.repeat(32)}`)).toEqual({ algorithm: 'sha256', hex: '0f'.repeat(32) });
    expect(parseDigest(`sha512:${'0f'.repeat(64)}`).algorithm).toBe('sha512');
    expect(digestOf('')).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  // CVE-2024-3727: unchecked digests became paths and URLs.
  it.each([
    '',
    'sha256',
    'sha256:',
    ':' + 'a'.repeat(64),
    `sha256:${'a'.repeat(63)}`,
    `sha256:${'a'.repeat(65)}`,
    `sha256:${'A'.repeat(64)}`,
    `SHA256:${'a'.repeat(64)}`,
    `sha256:${'a'.repeat(64)}\n`,
    `sha256:${'../'.repeat(21)}a`,
    `sha512:${'a'.repeat(64)}`,
    'md5:d41d8cd98f00b204e9800998ecf8427e',
    'constructor:' + 'a'.repeat(64),
    null,
    7,
  ])('refuses %j', (text) => {
    expect(isDigest(text)).toBe(false);
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_DIGEST' }));
  });
});
