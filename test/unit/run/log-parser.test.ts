import { LogParser } from '../../../lib/run/log-parser';

const time = '2026-11-24T10:00:00.123456789Z';
const log = Buffer.concat([
  Buffer.from(
    `${time} stdout F plain\n${time} stderr P a piece\n${time} stdout F \n${time} stdout F with  two  spaces \n`,
  ),
  Buffer.from(`${time} stdout F `),
  Buffer.from([0xff, 0x00, 0x0d]),
  Buffer.from('\n'),
]);

const expected = [
  ['stdout', false, Buffer.from('plain')],
  ['stderr', true, Buffer.from('a piece')],
  ['stdout', false, Buffer.from('')],
  ['stdout', false, Buffer.from('with  two  spaces ')],
  ['stdout', false, Buffer.from([0xff, 0x00, 0x0d])],
];

test.each([1, 2, 3, 7, 64, 4096])('reads exact bytes in chunks of %i', (size) => {
  const parser = new LogParser();
  const records = [];
  for (let start = 0; start < log.length; start += size) {
    records.push(...parser.push(log.subarray(start, start + size)));
  }
  expect(records.map(({ stream, partial, content }) => [stream, partial, Buffer.from(content)])).toEqual(expected);
  expect(records.every((record) => record.time === time)).toBe(true);
});

test('passes over what a crash tore, and what has not ended yet', () => {
  const parser = new LogParser();
  expect(
    parser.push(Buffer.from(`garbage\n\n${time} nonsense F x\n${time} stdout F good\n${time} stdout F unfin`)),
  ).toHaveLength(1);
  expect(parser.push(Buffer.from('ished\n'))[0]?.content.toString()).toBe('unfinished');
});

test('reads the tags, passes over those it does not know, and takes none from the content', () => {
  const records = new LogParser().push(
    Buffer.from(
      `${time} stdout F a:run=9 b\n${time} stdout P:run=2:lost=7 c\n${time} stderr F:new:cont:run=12:file=3 d:cont\n`,
    ),
  );
  expect(
    records.map(({ content, run, lost, continues, file }) => [content.toString(), run, lost, continues, file]),
  ).toEqual([
    ['a:run=9 b', 1, 0, false, undefined],
    ['c', 2, 7, false, undefined],
    ['d:cont', 12, 0, true, 3],
  ]);
});
