import { runCli } from '../../support/cli';

function fakeRuntime(): { calls: unknown[][]; login: unknown; logout: unknown } {
  const calls: unknown[][] = [];
  return {
    calls,
    login: async (...values: unknown[]) => calls.push(['login', ...values]),
    logout: async (...values: unknown[]) => calls.push(['logout', ...values]),
  };
}

test('login takes the password from stdin, without the end of its line', async () => {
  const runtime = fakeRuntime();
  const argv = ['login', '-u', 'me', '--password-stdin', 'r.example:5000'];
  const outcome = await runCli(argv, runtime, { input: 'pa ss\n' });
  expect(outcome).toEqual({ status: 0, stdout: 'Login Succeeded\n', stderr: '' });
  expect(runtime.calls).toEqual([['login', 'r.example:5000', { username: 'me', password: 'pa ss' }]]);
});

test('login with -p warns, and without a server means Docker Hub', async () => {
  const runtime = fakeRuntime();
  const { status, stderr } = await runCli(['login', '-u', 'me', '-p', 'x'], runtime);
  expect([status, stderr]).toEqual([0, 'WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n']);
  expect(runtime.calls).toEqual([['login', 'docker.io', { username: 'me', password: 'x' }]]);
});

test.each([
  [['login']],
  [['login', '--password-stdin']],
  [['login', '-u', 'me']],
  [['login', '-u', '', '-p', 'x']],
  [['login', '-u', 'me', '-p', '']],
  [['login', '-u', 'me', '-p', 'x', '--password-stdin']],
])('%j is refused, and nobody is asked', async (argv) => {
  const runtime = fakeRuntime();
  const { status, stderr } = await runCli(argv, runtime);
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/login/);
  expect(runtime.calls).toEqual([]);
});

test('logout says which credentials went', async () => {
  const runtime = fakeRuntime();
  const { stdout } = await runCli(['logout', 'r.example'], runtime);
  expect(stdout).toBe('Removing login credentials for r.example\n');
  expect(runtime.calls).toEqual([['logout', 'r.example']]);
});
