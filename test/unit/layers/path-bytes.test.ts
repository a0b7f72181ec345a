import { pathBytes, pathText } from '../../../lib/layers/path-bytes';

it('gives back the exact bytes of every name', () => {
  expect(pathBytes('usr/bin')).toEqual(Buffer.from('usr/bin'));
  expect(pathBytes('é/😀')).toEqual(Buffer.from('é/😀'));
  expect(pathBytes('a\udcffb\udc80')).toEqual(Buffer.from([0x61, 0xff, 0x62, 0x80]));
  expect(pathBytes('😀\udce9')).toEqual(Buffer.concat([Buffer.from('😀'), Buffer.from([0xe9])]));
});

it.each(['usr/bin', 'é/😀', 'a\udcffb\udc80', '😀\udce9', '\udcc3é'])('gives back the text of %j', (text) => {
  expect(pathText(pathBytes(text))).toBe(text);
});
