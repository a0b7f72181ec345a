import { startRegistry } from '../../scripts/lib/registry.js';
import { Bench } from '../support/e2e';
import type { RealRegistry } from '../support/real-registry';

let bench: Bench;
let target: RealRegistry;

beforeAll(async () => {
  bench = await Bench.open({ busybox: '1' });
  target = await startRegistry();
}, 600_000);
afterAll(async () => {
  await target.stop();
  await bench.close();
});

test('what is pulled, tagged and pushed is the same image, and is pushed once', () => {
  expect(bench.cli(['pull', '-q', 'busybox:1']).status).toBe(0);
  const name = `${target.host}/pushed/busybox`;
  bench.cli(['tag', 'busybox:1', `${name}:2`]);
  const first = bench.cli(['push', `${name}:2`]);
  expect(first).toMatchObject({ status: 0, stderr: '' });
  expect(first.stdout).toMatch(
    /^The push refers to repository \[.*\/pushed\/busybox\]\n[^]*: Pushed\n[^]*^2: digest: sha256:/m,
  );
  const second = bench.cli(['push', '-a', name]);
  expect(second.stdout).toContain(': Layer already exists');
  expect(second.stdout).not.toContain('Pushing');
  const digestOf = (text: string): string | undefined => /sha256:[0-9a-f]{64}/.exec(text)?.[0];
  expect(bench.cli(['pull', `${name}:2`]).stdout).toContain(`Digest: ${digestOf(second.stdout)}`);
  expect(bench.cli(['push', `${name}:3`])).toMatchObject({ status: 1, stderr: expect.stringContaining('no image') });
});
