import { PassThrough, type Readable, type Writable } from 'node:stream';

import type { Output } from '../../../lib/cli/context';
import { runCli } from '../../support/cli';

async function drain(stream: Readable): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}

test('load reads stdin, or what -i names, and prints each name', async () => {
  const seen: unknown[] = [];
  const runtime = {
    load: async (source: string | Readable) => {
      seen.push(typeof source === 'string' ? source : await drain(source));
      return [
        { id: 'sha256:1', references: ['app:1', 'app:2'] },
        { id: 'sha256:2', references: [] },
      ];
    },
  };
  const printed = 'Loaded image: app:1\nLoaded image: app:2\nLoaded image ID: sha256:2\n';
  expect(await runCli(['load'], runtime, { input: 'bytes' })).toMatchObject({ status: 0, stdout: printed });
  expect(await runCli(['load', '-q', '-i', 'file.tar'], runtime)).toMatchObject({ status: 0, stdout: printed });
  expect(seen).toEqual(['bytes', 'file.tar']);
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  expect((await runCli(['load'], runtime, { stdin })).status).toBe(1);
});

test('save writes several images to a file or to stdout, and not to a terminal', async () => {
  const calls: unknown[][] = [];
  const runtime = {
    save: async (names: string[], target: string | Writable, options: object) => {
      calls.push([names, typeof target, options]);
      if (typeof target !== 'string') target.end('archive');
    },
  };
  expect(await runCli(['save', 'a:1', 'b:2'], runtime)).toEqual({ status: 0, stdout: 'archive', stderr: '' });
  expect(await runCli(['save', '-o', 'x.tar', '--format', 'oci-archive', 'a:1'], runtime)).toMatchObject({ status: 0 });
  expect(calls).toEqual([
    [['a:1', 'b:2'], 'object', {}],
    [['a:1'], 'string', { format: 'oci-archive' }],
  ]);
  const stdout = Object.assign(new PassThrough(), { isTTY: true }) as Output & PassThrough;
  const refused = await runCli(['save', 'a:1'], runtime, { stdout });
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('terminal') });
  expect(calls).toHaveLength(2);
});
