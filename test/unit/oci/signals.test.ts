import { signalName, signalNumber } from '../../../lib/oci/signals';

test.each([
  ['SIGTERM', 15],
  ['term', 15],
  ['Sigkill', 9],
  ['15', 15],
  ['SIGRTMIN', 34],
  ['RTMIN+3', 37],
  ['SIGRTMAX-1', 63],
])('%s is %i', (name, number) => {
  expect(signalNumber(name)).toBe(number);
});

test.each(['SIGNONSENSE', '0', '65', '-1', '', 'SIGRTMAX+1', 'SIGRTMIN-1', 'constructor', '9 '])(
  '%j is none',
  (name) => {
    expect(signalNumber(name)).toBeUndefined();
  },
);

test('names', () => {
  expect([9, 6, 29, 37, 17].map(signalName)).toEqual(['SIGKILL', 'SIGABRT', 'SIGIO', 'SIGRTMIN+3', 'SIGCHLD']);
});
