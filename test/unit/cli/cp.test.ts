import { splitPlace } from '../../../lib/cli/commands/cp';
import { runCli } from '../../support/cli';

test.each([
  ['web:/etc/hosts', { container: 'web', path: '/etc/hosts' }],
  ['web:etc', { container: 'web', path: 'etc' }],
  ['web:', { container: 'web', path: '/' }],
  ['web:/a:b', { container: 'web', path: '/a:b' }],
  ['./a:b', { path: './a:b' }],
  ['/a:b', { path: '/a:b' }],
  ['file', { path: 'file' }],
  [':x', { path: ':x' }],
  ['-', { path: '-' }],
])('%s', (text, place) => {
  expect(splitPlace(text)).toEqual(place);
});

test('warnings are told, and what was copied on a terminal alone', async () => {
  const calls: unknown[][] = [];
  const container = {
    copyTo: async (...args: unknown[]) => {
      calls.push(args);
      return { bytes: 2048, warnings: ['device left out: n/null'] };
    },
  };
  const { status, stdout, stderr } = await runCli(['cp', '-aL', 'f', 'web:/x'], { container: async () => container });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: 'dinghy: device left out: n/null\n' });
  expect(calls).toEqual([['f', '/x', { archive: true, followLinks: true }]]);
});
