import { TestBed } from '../support/busybox';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const quiet = { network: 'none' } as const;

test('runs a command to its end and tells how it ended', async () => {
  const container = await bed.runtime.run(bed.busybox, {
    ...quiet,
    command: ['sh', '-c', 'echo out; echo err >&2; exit 3'],
  });
  expect(container.id).toMatch(/^[0-9a-f]{64}$/);
  expect(await container.wait()).toEqual({ exitCode: 3, signal: null, oomKilled: false });
  const entries = [];
  for await (const { stream, line, partial, time } of container.logs()) {
    expect(Math.abs(time.getTime() - Date.now())).toBeLessThan(60_000);
    entries.push({ stream, line, partial });
  }
  expect(entries.sort((a, b) => a.stream.localeCompare(b.stream))).toEqual([
    { stream: 'stderr', line: 'err', partial: false },
    { stream: 'stdout', line: 'out', partial: false },
  ]);
  expect((await container.inspect()).status).toBe('exited');
  await container.close();
});
