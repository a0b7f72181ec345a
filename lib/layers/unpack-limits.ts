import { checkInteger, checkOptions, invalidOption } from '../util/checks';
import { parseSize } from '../util/size';

/**
 * What one layer may grow to before it is taken for an attack (CVE-2017-14992). What is absent is the default, which no image
 * that people use comes near (docs/layers.md).
 */
export interface UnpackLimits {
  /** Bytes of the uncompressed layer, holes of sparse files included: a number or `'100g'`. Default 64 GiB. */
  bytes?: number | string;
  /** Files, folders and links. Default 2,000,000. */
  entries?: number;
  /** Uncompressed bytes for each compressed one, where the layer has over 4 GiB. Default 200. */
  ratio?: number;
  /** Folders in each other. Default 1024. */
  depth?: number;
}

/** As the binary takes them. */
export type SettledUnpackLimits = Partial<Record<keyof UnpackLimits, number>>;

const most = { entries: Number.MAX_SAFE_INTEGER, ratio: Number.MAX_SAFE_INTEGER, depth: 4096 };
export const unpackLimitNames = ['bytes', 'entries', 'ratio', 'depth'] as const;

/** @throws ERR_INVALID_OPTION */
export function settleUnpackLimits(option: string, value: unknown): SettledUnpackLimits {
  const given = checkOptions(option, value, unpackLimitNames);
  const settled: SettledUnpackLimits = {};
  if (given['bytes'] !== undefined) {
    settled.bytes = parseSize(`${option}.bytes`, given['bytes']);
    if (settled.bytes === 0) {
      throw invalidOption(`${option}.bytes`, given['bytes'], 'must be at least 1');
    }
  }
  for (const name of ['entries', 'ratio', 'depth'] as const) {
    if (given[name] !== undefined) {
      settled[name] = checkInteger(`${option}.${name}`, given[name], 1, most[name]);
    }
  }
  return settled;
}
