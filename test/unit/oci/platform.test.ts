import { acceptablePlatforms, choosePlatform, formatPlatform, parsePlatform } from '../../../lib/oci/platform';

const order = (text: string): string[] => acceptablePlatforms(parsePlatform(text)).map(formatPlatform);

describe('platforms', () => {
  it('reads the usual spellings', () => {
    expect(parsePlatform('linux/x86_64')).toEqual({ os: 'linux', architecture: 'amd64' });
    expect(parsePlatform('arm64')).toEqual({ os: 'linux', architecture: 'arm64' });
    expect(parsePlatform('linux/armhf')).toEqual({ os: 'linux', architecture: 'arm', variant: 'v7' });
    expect(parsePlatform('linux/arm/6')).toEqual({ os: 'linux', architecture: 'arm', variant: 'v6' });
    for (const bad of ['', '/', 'linux/', 'a/b/c/d', 'linux/am d64']) {
      expect(() => parsePlatform(bad)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
    }
  });

  it('falls back to what the processor runs too, best first', () => {
    expect(order('linux/amd64')).toEqual(['linux/amd64/v1', 'linux/386']);
    expect(order('linux/amd64/v3')).toEqual(['linux/amd64/v3', 'linux/amd64/v2', 'linux/amd64/v1', 'linux/386']);
    expect(order('linux/arm64')).toEqual([
      'linux/arm64/v8',
      'linux/arm/v8',
      'linux/arm/v7',
      'linux/arm/v6',
      'linux/arm/v5',
    ]);
    expect(order('linux/arm64/v9').slice(0, 3)).toEqual(['linux/arm64/v9', 'linux/arm64/v8.5', 'linux/arm64/v8.4']);
    expect(order('linux/arm/v6')).toEqual(['linux/arm/v6', 'linux/arm/v5']);
    expect(order('linux/riscv64')).toEqual(['linux/riscv64']);
  });

  it('chooses the best offer and not the first', () => {
    const offers = ['linux/386', 'linux/amd64', 'linux/amd64/v2', 'linux/arm64/v8', 'windows/amd64'].map(parsePlatform);
    const chosen = (text: string): string | undefined => {
      const found = offers[choosePlatform(offers, parsePlatform(text))];
      return found && formatPlatform(found);
    };
    expect(chosen('linux/amd64')).toBe('linux/amd64');
    expect(chosen('linux/amd64/v4')).toBe('linux/amd64/v2');
    expect(chosen('linux/arm64')).toBe('linux/arm64/v8');
    expect(chosen('linux/s390x')).toBeUndefined();
  });
});
