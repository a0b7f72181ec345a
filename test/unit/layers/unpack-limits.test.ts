import { layerError } from '../../../lib/layers/process';
import { settleUnpackLimits } from '../../../lib/layers/unpack-limits';

const settle = (value: unknown): unknown => settleUnpackLimits('unpackLimits', value);

test('what is given is passed on as numbers, what is not stays the default', () => {
  expect(settle(undefined)).toEqual({});
  expect(settle({})).toEqual({});
  expect(settle({ bytes: '10g', entries: 5, ratio: 1000, depth: 4096 })).toEqual({
    bytes: 10 * 1024 ** 3,
    entries: 5,
    ratio: 1000,
    depth: 4096,
  });
  expect(settle({ bytes: 1, ratio: undefined })).toEqual({ bytes: 1 });
});

test.each([
  [{ bytes: 0 }, 'unpackLimits.bytes'],
  [{ bytes: '10x' }, 'unpackLimits.bytes'],
  [{ bytes: -1 }, 'unpackLimits.bytes'],
  [{ entries: 0 }, 'unpackLimits.entries'],
  [{ entries: '5' }, 'unpackLimits.entries'],
  [{ ratio: 1.5 }, 'unpackLimits.ratio'],
  [{ depth: 4097 }, 'unpackLimits.depth'],
  [{ byte: 1 }, 'bytes'],
  [[], 'unpackLimits'],
  [null, 'unpackLimits'],
])('%j is refused', (value, named) => {
  expect(() => settle(value)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringContaining(named) }),
  );
});

test.each(['bytes', 'entries', 'ratio', 'depth'])(
  'the error of %s says where it was met and how to raise it',
  (limit) => {
    const told = { step: `limit ${limit}`, errno: 0, message: 'the layer has too much', path: 'usr/lib/big' };
    const error = layerError(told, 'unpack the layer sha256:1', { digest: 'sha256:1' });
    expect(error).toMatchObject({ code: 'ERR_LAYER', step: `limit ${limit}`, details: { limit, path: 'usr/lib/big' } });
    expect(error.message).toBe(
      `cannot unpack the layer sha256:1: limit ${limit}: the layer has too much (usr/lib/big): ` +
        `if you trust the image, raise it with new Runtime({ unpackLimits: { ${limit}: … } })`,
    );
  },
);
