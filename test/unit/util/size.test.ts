import { parseSize } from '../../../lib/util/size';

test.each([
  [0, 0],
  [1024, 1024],
  ['512', 512],
  ['512b', 512],
  ['1k', 1024],
  ['1kb', 1024],
  ['1KiB', 1024],
  ['64m', 67108864],
  ['1.5g', 1610612736],
  ['2t', 2199023255552],
])('%j is %i bytes', (text, bytes) => {
  expect(parseSize('memory', text)).toBe(bytes);
});

test.each([-1, 1.5, Number.NaN, '', 'm', '1x', '1 0', '-1k', null, {}, '99999999t'])('refuses %j', (value) => {
  expect(() => parseSize('memory', value)).toThrow(/option memory/);
});
