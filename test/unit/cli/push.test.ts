import { runCli } from '../../support/cli';

const digest = `sha256:${'d'.repeat(64)}`;

function fakeRuntime(references: string[] = []): { pushed: unknown[]; image: unknown; images: unknown } {
  const pushed: unknown[] = [];
  const image = (name: string): object => ({
    digest,
    references,
    push: async (reference: string, { onProgress }: { onProgress?: (progress: object) => void }) => {
      pushed.push([name, reference]);
      onProgress?.({ phase: 'uploading', digest: `sha256:${'a'.repeat(64)}`, current: 1, overall: { current: 1 } });
      onProgress?.({ phase: 'exists', digest: `sha256:${'b'.repeat(64)}`, current: 1, overall: { current: 2 } });
    },
  });
  return { pushed, image: async (name: string) => image(name), images: async () => [image('')] };
}

test("push tells what Docker's does", async () => {
  const runtime = fakeRuntime();
  const { status, stdout } = await runCli(['push', 'r.example/app'], runtime);
  expect(status).toBe(0);
  expect(stdout.split('\n')).toEqual([
    'Using default tag: latest',
    'The push refers to repository [r.example/app]',
    'aaaaaaaaaaaa: Pushing',
    'bbbbbbbbbbbb: Layer already exists',
    `latest: digest: ${digest}`,
    '',
  ]);
  expect(runtime.pushed).toEqual([['r.example/app:latest', 'r.example/app:latest']]);
});

test('push -q prints the name only', async () => {
  const { stdout } = await runCli(['push', '-q', 'me/app:2'], fakeRuntime());
  expect(stdout).toBe('docker.io/me/app:2\n');
});

test('push -a pushes every tag of the repository, and nothing of others', async () => {
  const runtime = fakeRuntime(['r.example/app:1', 'r.example/app:2', 'r.example/other:3', `r.example/app@${digest}`]);
  const { stdout } = await runCli(['push', '-a', 'r.example/app'], runtime);
  expect(runtime.pushed.map((each) => (each as string[])[1])).toEqual(['r.example/app:1', 'r.example/app:2']);
  expect(stdout).toContain(`2: digest: ${digest}`);
  expect((await runCli(['push', '-a', 'r.example/app:1'], runtime)).status).toBe(1);
  expect((await runCli(['push', '-a', 'r.example/none'], runtime)).stderr).toMatch(/no tag of r.example\/none is here/);
});

test('push says what is wrong with a name before it asks anybody', async () => {
  const runtime = fakeRuntime();
  expect((await runCli(['push', 'UPPER'], runtime)).status).toBe(1);
  expect(runtime.pushed).toEqual([]);
});
