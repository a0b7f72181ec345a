import { runCli } from '../../support/cli';

describe('commit', () => {
  const calls: object[] = [];
  const runtime = {
    container: async (name: string) => ({
      commit: async (options: object) => {
        calls.push({ name, ...options });
        return { id: 'sha256:abc' };
      },
    }),
  };
  beforeEach(() => calls.splice(0));

  test("gives Docker's flags on, and prints the id", async () => {
    const flags = ['-a', 'me', '-m', 'mine', '-c', 'ENV A=b', '--change', 'CMD ["run"]', '-p'];
    expect(await runCli(['commit', ...flags, 'web', 'mine/image:1'], runtime)).toEqual({
      status: 0,
      stdout: 'sha256:abc\n',
      stderr: '',
    });
    const changes = ['ENV A=b', 'CMD ["run"]'];
    expect(calls).toEqual([
      { name: 'web', reference: 'mine/image:1', author: 'me', message: 'mine', changes, pause: true },
    ]);
  });

  test.each([
    [['web'], undefined],
    [['-p', 'web'], true],
    [['--pause', 'web'], true],
    [['--no-pause', 'web'], false],
    [['--pause=false', 'web'], false],
  ])('%j pauses: %s', async (argv, pause) => {
    expect((await runCli(['commit', ...argv], runtime)).status).toBe(0);
    expect(calls).toEqual([{ name: 'web', pause }]);
  });

  test('wants a container', async () => {
    expect(await runCli(['commit'], runtime)).toMatchObject({ status: 1, stdout: '' });
    expect(calls).toEqual([]);
  });
});
