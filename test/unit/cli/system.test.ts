import { runCli } from '../../support/cli';

function fakeRuntime(): { calls: unknown[]; prune: unknown; verify: unknown } {
  const calls: unknown[] = [];
  return {
    calls,
    prune: async (options: object) => {
      calls.push(options);
      return { containers: ['c1'], images: ['sha256:1'], volumes: [], networks: ['n1'], freedBytes: 1_234_000 };
    },
    verify: async (options: object) => {
      calls.push(options);
      return {
        damaged: [
          { kind: 'blob', id: 'sha256:1', reason: 'it is missing', repaired: true },
          { kind: 'layer', id: 'sha256:2', reason: 'a: mode', repaired: false, error: 'no name' },
        ],
      };
    },
  };
}

test.each([
  [['system', 'prune'], { containers: true, networks: true, images: true, volumes: false }],
  [['system', 'prune', '-a', '--volumes'], { containers: true, networks: true, images: 'all', volumes: true }],
  [['image', 'prune'], { images: true }],
  [['image', 'prune', '-a'], { images: 'all' }],
  [['container', 'prune'], { containers: true }],
  [['network', 'prune'], { networks: true }],
  [['volume', 'prune'], { volumes: true }],
  [['volume', 'prune', '-a'], { volumes: 'all' }],
])('%j asks, and prunes when the answer is yes', async (argv, options) => {
  const runtime = fakeRuntime();
  for (const input of ['n\n', '', 'yes please\n']) {
    const refused = await runCli(argv, runtime, { input });
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('cancelled') });
  }
  expect(runtime.calls).toEqual([]);
  const agreed = await runCli(argv, runtime, { input: 'y\n' });
  expect(agreed.status).toBe(0);
  expect(agreed.stdout).toMatch(
    /^WARNING! This will remove[^]*\[y\/N\] Deleted Containers:\nc1\n\nDeleted Networks:\nn1\n\n/,
  );
  expect(agreed.stdout).toMatch(/Deleted Images:\ndeleted: sha256:1\n\nTotal reclaimed space: 1\.23MB\n$/);
  expect((await runCli([...argv, '-f'], runtime)).stdout).not.toContain('WARNING');
  expect(runtime.calls).toEqual([options, options]);
});

test('system restore prints what it started, tells why others were not, and fails for them', async () => {
  const outcome = { started: [{ id: '1', name: 'web' }], removed: [], failed: [] as unknown[] };
  const runtime = { restore: async () => outcome };
  expect(await runCli(['system', 'restore'], runtime)).toEqual({ status: 0, stdout: 'web\n', stderr: '' });
  outcome.failed.push({ id: '2', name: 'db', error: new Error('no such program') });
  expect(await runCli(['system', 'restore'], runtime)).toEqual({
    status: 1,
    stdout: 'web\n',
    stderr: 'Error: db: no such program\n',
  });
});

test('system verify tells of each damage, and fails while some is left', async () => {
  const runtime = fakeRuntime();
  expect(await runCli(['system', 'verify', '--repair'], runtime)).toEqual({
    status: 1,
    stdout: 'repaired blob sha256:1: it is missing\ndamaged layer sha256:2: a: mode (not repaired: no name)\n',
    stderr: '',
  });
  expect(runtime.calls).toEqual([{ repair: true }]);
});
