import { existsSync } from 'node:fs';

import type { Container, LogEntry, LogOptions } from '../../lib';
import { TestBed } from '../support/busybox';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const shell = (script: string, more: object = {}): Promise<Container> =>
  bed.runtime.run(bed.busybox, { network: 'none', command: ['sh', '-c', script], ...more });

async function collect(container: Container, options: LogOptions = {}): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const entry of container.logs(options)) entries.push(entry);
  return entries;
}
const lines = (entries: LogEntry[]): string[] => entries.map(({ line }) => line);

test('a line that was written in steps is one, and both streams are in the order of arrival', async () => {
  const container = await shell(
    'for i in 1 2 3; do printf "out "; sleep 0.02; printf "$i"; sleep 0.02; echo; sleep 0.02; echo "err $i" >&2; sleep 0.02; done',
  );
  await container.wait();
  const entries = await collect(container);
  expect(lines(entries)).toEqual(['out 1', 'err 1', 'out 2', 'err 2', 'out 3', 'err 3']);
  const times = entries.map(({ timestamp }) => timestamp);
  expect(times).toEqual([...times].sort());
  expect(new Set(entries.map(({ partial, run }) => `${partial} ${run}`))).toEqual(new Set(['false 1']));
  await container.close();
});

test('tail, since and until choose', async () => {
  const container = await shell('seq 1 50000; sleep 0.3; echo late');
  await container.wait();
  expect(lines(await collect(container, { tail: 3 }))).toEqual(['49999', '50000', 'late']);
  const [last] = await collect(container, { tail: 1 });
  expect(lines(await collect(container, { since: last!.time }))).toEqual(['late']);
  expect(await collect(container, { until: last!.time.getTime() - 100 })).toHaveLength(50_000);
  expect(await collect(container, { tail: 0 })).toEqual([]);
  await container.close();
});

test('following ends with the container, and at `until`; it shows what has no newline yet', async () => {
  const container = await shell('printf "Password: "; sleep 0.6; echo; echo done; sleep 0.1');
  const seen = await collect(container, { follow: true, until: Date.now() + 300 });
  expect(seen).toEqual([expect.objectContaining({ line: 'Password: ', partial: true })]);
  expect(lines(await collect(container, { follow: true }))).toEqual(['Password: ', '', 'done']);
  expect(lines(await collect(container))).toEqual(['Password: ', 'done']);
  await container.close();
});

test('every line is read while it is written and rotated, and one who is too slow is told', async () => {
  const loop =
    'i=0; while [ $i -lt 4000 ]; do echo "line $i 01234567890123456789"; i=$((i+1)); [ $((i % 200)) = 0 ] && sleep 0.01; done';
  const container = await shell(`read go; ${loop}`, { openStdin: true, log: { maxSize: '64k', maxFiles: 3 } });
  const following = collect(container, { follow: true });
  const input = await container.attach();
  input.stdin.end('go\n');
  const followed = await following;
  await input.detach();
  expect(followed).toHaveLength(4000);
  await container.wait();
  const kept = await collect(container);
  expect(kept.length).toBeGreaterThan(1500);
  expect(kept.length).toBeLessThan(3999);
  expect(lines(kept)).toEqual(lines(followed).slice(-kept.length));
  await container.close();

  const fast = await shell('read go; seq 1 300000', { openStdin: true, log: { maxSize: '64k', maxFiles: 2 } });
  const attachment = await fast.attach();
  attachment.stdin.end('go\n');
  const { logPath } = await fast.inspect();
  await fast.wait();
  expect(existsSync(`${logPath}.1`)).toBe(true);
  await expect(attachment.stdout.toArray()).rejects.toMatchObject({ code: 'ERR_OUTPUT_LOST' });
  attachment.stderr.destroy();
  await fast.close();
});

test('the lines of a restart are told apart, also by waitFor', async () => {
  const container = await shell('printf "ready"; sleep 1000');
  await container.waitFor({ log: 'ready' });
  await container.restart({ timeoutMs: 0 });
  await container.waitFor({ log: 'ready' });
  await container.kill();
  await container.wait();
  expect((await collect(container)).map(({ line, run }) => [line, run])).toEqual([
    ['ready', 1],
    ['ready', 2],
  ]);
  await container.close();
});

test('attached streams have one run, however soon the next begins', async () => {
  const container = await bed.runtime.create(bed.busybox, { network: 'none', command: ['echo', 'once'] });
  const attachment = await container.attach();
  await container.start();
  await container.wait();
  await container.start();
  await container.wait();
  expect(Buffer.concat(await attachment.stdout.toArray()).toString()).toBe('once\n');
  attachment.stderr.destroy();
  await container.close();
});
