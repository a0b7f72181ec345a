import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { runCli } from '../../support/cli';

describe('import', () => {
  const calls: { source: unknown; options: object }[] = [];
  const runtime = {
    import: async (source: unknown, options: object) => {
      calls.push({ source, options });
      return { id: 'sha256:abc' };
    },
  };
  beforeEach(() => calls.splice(0));

  test('gives the file, the name and the changes on, and prints the id', async () => {
    const argv = ['import', '-c', 'ENV A=b', '-c', 'CMD ["run"]', '-m', 'mine', '--platform', 'linux/arm64'];
    expect(await runCli([...argv, 'root.tar', 'mine/image:1'], runtime)).toEqual({
      status: 0,
      stdout: 'sha256:abc\n',
      stderr: '',
    });
    const changes = ['ENV A=b', 'CMD ["run"]'];
    const options = { reference: 'mine/image:1', changes, message: 'mine', platform: 'linux/arm64' };
    expect(calls).toEqual([{ source: 'root.tar', options }]);
  });

  test('- is stdin, and a URL is refused with what to do', async () => {
    await runCli(['import', '-'], runtime, { input: 'tar' });
    expect(typeof (calls[0]?.source as Readable).pipe).toBe('function');
    const { status, stderr } = await runCli(['import', 'http://example.invalid/x.tar'], runtime);
    expect(status).toBe(1);
    expect(stderr).toContain('curl -fL http://example.invalid/x.tar | dinghy import -');
    expect(calls).toHaveLength(1);
  });
});

describe('export', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dinghy-cli-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const exporting = (make: (signal: AbortSignal) => Readable): object => ({
    container: async (name: string) => ({
      export: async ({ signal }: { signal: AbortSignal }) => {
        expect(name).toBe('web');
        return make(signal);
      },
    }),
  });
  const whole = exporting(() => Readable.from([Buffer.from('tar '), Buffer.from('bytes')]));
  const broken = exporting(() =>
    Readable.from(
      (async function* () {
        yield Buffer.from('half');
        throw new Error('gone');
      })(),
    ),
  );

  test('writes to stdout, or to a file', async () => {
    expect(await runCli(['export', 'web'], whole)).toEqual({ status: 0, stdout: 'tar bytes', stderr: '' });
    const file = join(folder, 'out.tar');
    writeFileSync(file, 'old');
    expect(await runCli(['export', '-o', file, 'web'], whole)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(readFileSync(file, 'utf8')).toBe('tar bytes');
    expect(readdirSync(folder)).toEqual(['out.tar']);
    expect((await runCli(['export', '-o', '/dev/null', 'web'], whole)).status).toBe(0);
  });

  test('a failure leaves the file as it was', async () => {
    const file = join(folder, 'out.tar');
    expect(await runCli(['export', '-o', file, 'web'], broken)).toMatchObject({ status: 1, stderr: 'dinghy: gone\n' });
    expect(readdirSync(folder)).toEqual([]);
    writeFileSync(file, 'old');
    await runCli(['export', '-o', file, 'web'], broken);
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect((await runCli(['export', '-o', folder, 'web'], whole)).stderr).toMatch(/is a folder/);
    expect((await runCli(['export', '-o', join(folder, 'none/x'), 'web'], whole)).status).toBe(1);
  });

  test('a signal ends it and leaves nothing', async () => {
    let send = (_signal: NodeJS.Signals): void => undefined;
    const endless = exporting((signal) => {
      const stream = new Readable({ read: () => undefined });
      stream.push('half');
      signal.addEventListener('abort', () => stream.destroy(new Error('aborted')));
      setTimeout(() => send('SIGINT'), 20);
      return stream;
    });
    const onSignals = (listener: (signal: NodeJS.Signals) => void): (() => void) => {
      send = listener;
      return () => undefined;
    };
    expect((await runCli(['export', '-o', join(folder, 'x'), 'web'], endless, { onSignals })).status).toBe(130);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is not for a terminal', async () => {
    const { PassThrough } = await import('node:stream');
    const stdout = Object.assign(new PassThrough(), { isTTY: true });
    const { status } = await runCli(['export', 'web'], whole, { stdout });
    expect(status).toBe(1);
  });
});
