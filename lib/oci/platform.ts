import { DinghyError } from '../errors';

/** What an image runs on (image-spec, image-index.md "platform"). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

const aliases: Record<string, Omit<Platform, 'os'>> = {
  x86_64: { architecture: 'amd64' },
  'x86-64': { architecture: 'amd64' },
  x64: { architecture: 'amd64' },
  aarch64: { architecture: 'arm64' },
  armhf: { architecture: 'arm', variant: 'v7' },
  armel: { architecture: 'arm', variant: 'v6' },
  i386: { architecture: '386' },
  i686: { architecture: '386' },
  ia32: { architecture: '386' },
};

/**
 * `os/architecture[/variant]`, or an architecture alone, with the usual other spellings accepted.
 * @throws ERR_INVALID_OPTION
 */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split('/');
  const wellFormed = parts.length <= 3 && parts.every((part) => /^[a-z0-9_.-]+$/.test(part));
  if (!wellFormed) {
    throw new DinghyError({
      code: 'ERR_INVALID_OPTION',
      message: `bad platform ${JSON.stringify(text)}: expected os/architecture or os/architecture/variant, such as linux/arm64/v8`,
    });
  }
  const [os, architecture, variant] = parts.length === 1 ? ['linux', parts[0]] : parts;
  return normalise({ os: os, architecture: architecture!, ...(variant ? { variant } : {}) });
}

export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return variant ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`;
}

/** What this Node process runs on. */
export function hostPlatform(): Platform {
  return parsePlatform(`linux/${process.arch}`);
}

/** The platforms that can run in the place of `wanted`, best first. */
export function acceptablePlatforms(wanted: Platform): Platform[] {
  const { os, architecture, variant } = normalise(wanted);
  const on = (name: string, variants: string[]): Platform[] => {
    return variants.map((each) => ({ os, architecture: name, variant: each }));
  };
  switch (architecture) {
    case 'amd64':
      // Each x86-64 level contains those below it, and the processor still runs 32-bit code.
      return [...on('amd64', descending(variant ?? 'v1', 1)), { os, architecture: '386' }];
    case 'arm64':
      return [...on('arm64', arm64Variants(variant ?? 'v8')), ...on('arm', descending('v8', 5))];
    case 'arm':
      return on('arm', descending(variant ?? 'v7', 5));
    default:
      return [{ os, architecture, ...(variant ? { variant } : {}) }];
  }
}

/** True when both mean the same: an absent variant is the architecture's default. */
export function samePlatform(left: Platform, right: Platform): boolean {
  const a = normalise(left);
  const b = normalise(right);
  return a.os === b.os && a.architecture === b.architecture && withDefault(a) === withDefault(b);
}

/** Of `offers`, the index of the one that fits `wanted` best, or -1. Of equals the first wins. */
export function choosePlatform(offers: readonly (Platform | undefined)[], wanted: Platform): number {
  for (const acceptable of acceptablePlatforms(wanted)) {
    const found = offers.findIndex((offer) => offer !== undefined && samePlatform(offer, acceptable));
    if (found !== -1) {
      return found;
    }
  }
  return -1;
}

function normalise(platform: Platform): Platform {
  const os = platform.os.toLowerCase();
  const name = platform.architecture.toLowerCase();
  const alias = Object.hasOwn(aliases, name) ? aliases[name] : undefined;
  const given = platform.variant?.toLowerCase().replace(/^(?=\d)/, 'v');
  const variant = given || alias?.variant;
  return { os, architecture: alias?.architecture ?? name, ...(variant ? { variant } : {}) };
}

function withDefault(platform: Platform): string {
  const defaults: Record<string, string> = { amd64: 'v1', arm64: 'v8', arm: 'v7' };
  const variant =
    platform.variant ?? (Object.hasOwn(defaults, platform.architecture) ? defaults[platform.architecture] : '');
  return platform.architecture === 'arm64' ? (variant ?? '').replace(/\.0$/, '') : (variant ?? '');
}

/** `v3` down to `v<lowest>`; a variant that isn't a number stands alone. */
function descending(variant: string, lowest: number): string[] {
  const match = /^v(\d{1,2})$/.exec(variant);
  const top = match ? Number(match[1]) : NaN;
  if (!(top >= lowest)) {
    return [variant];
  }
  return Array.from({ length: top - lowest + 1 }, (_value, index) => `v${top - index}`);
}

/** Armv9.x contains Armv8.(x+5), and each minor version those below it (Arm ARM, A2.1). */
function arm64Variants(variant: string): string[] {
  const match = /^v([89])(?:\.(\d{1,2}))?$/.exec(variant);
  if (!match) {
    return [variant];
  }
  const minor = Number(match[2] ?? 0);
  const line = (major: number, from: number): string[] => {
    return Array.from({ length: from + 1 }, (_value, index) =>
      from === index ? `v${major}` : `v${major}.${from - index}`,
    );
  };
  return match[1] === '9' ? [...line(9, minor), ...line(8, minor + 5)] : line(8, minor);
}
