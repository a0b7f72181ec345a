import { DinghyError } from '../../../lib';
import { runCli } from '../../support/cli';

const created = new Date('2026-01-02T03:04:05Z');

function fakeRuntime(): object {
  const all = ['one', 'two'];
  const volume = (name: string): object => ({
    name,
    inspect: async () => ({
      name,
      path: `/data/${name}`,
      created,
      labels: name === 'one' ? { team: 'blue' } : {},
      anonymous: false,
      usedBy: [],
    }),
    remove: async ({ force }: { force: boolean }) => {
      if (name === 'two')
        throw new DinghyError({ code: 'ERR_VOLUME_IN_USE', message: `two is used${force ? '!' : ''}` });
    },
  });
  return {
    calls: [] as unknown[],
    createVolume: async function (this: { calls: unknown[] }, options: { name?: string }) {
      this.calls.push(options);
      return volume(options.name ?? 'f'.repeat(64));
    },
    volumes: async function (this: { calls: unknown[] }, options: unknown) {
      this.calls.push(options);
      return all.map(volume);
    },
    volume: async (name: string) => {
      if (!all.includes(name)) {
        throw new DinghyError({ code: 'ERR_VOLUME_NOT_FOUND', message: `there is no volume ${name}` });
      }
      return volume(name);
    },
  };
}

test('volume create prints the name, with labels', async () => {
  const runtime = fakeRuntime();
  const made = await runCli(['volume', 'create', '--label', 'a=b', '--label', 'c', 'one'], runtime);
  expect(made).toEqual({ status: 0, stdout: 'one\n', stderr: '' });
  expect((await runCli(['volume', 'create'], runtime)).stdout).toBe(`${'f'.repeat(64)}\n`);
  expect(runtime).toMatchObject({ calls: [{ name: 'one', labels: { a: 'b', c: '' } }, { labels: {} }] });
  const refused = await runCli(['volume', 'create', '-d', 'nfs', 'one'], runtime);
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('local') });
});

test('volume ls: a table, names, a template; filters', async () => {
  const runtime = fakeRuntime();
  expect((await runCli(['volume', 'ls'], runtime)).stdout).toBe(
    'DRIVER    VOLUME NAME\nlocal     one\nlocal     two\n',
  );
  expect((await runCli(['volume', 'ls', '-q'], runtime)).stdout).toBe('one\ntwo\n');
  expect((await runCli(['volume', 'ls', '--format', '{{.Name}} {{.Mountpoint}} {{.Labels}}'], runtime)).stdout).toBe(
    'one /data/one team=blue\ntwo /data/two \n',
  );
  expect((await runCli(['volume', 'ls', '-f', 'dangling=true', '-f', 'name=o', '-q'], runtime)).status).toBe(0);
  expect((runtime as { calls: unknown[] }).calls.at(-1)).toEqual({ filters: { dangling: true, name: ['o'] } });
  expect((await runCli(['volume', 'ls', '-q', '-f', 'driver=nfs'], runtime)).stdout).toBe('');
  expect((await runCli(['volume', 'ls', '-f', 'dangling=maybe'], runtime)).status).toBe(1);
  expect((await runCli(['volume', 'ls', '-f', 'colour=red'], runtime)).status).toBe(1);
});

test('volume inspect speaks as Docker does', async () => {
  const shown = await runCli(['volume', 'inspect', 'one', 'none'], fakeRuntime());
  expect(shown).toMatchObject({ status: 1, stderr: 'Error: there is no volume none\n' });
  expect(JSON.parse(shown.stdout)).toEqual([
    {
      CreatedAt: '2026-01-02T03:04:05.000Z',
      Driver: 'local',
      Labels: { team: 'blue' },
      Mountpoint: '/data/one',
      Name: 'one',
      Options: null,
      Scope: 'local',
      Anonymous: false,
      UsedBy: [],
    },
  ]);
  const path = await runCli(['volume', 'inspect', '-f', '{{.Mountpoint}}', 'two'], fakeRuntime());
  expect(path).toEqual({ status: 0, stdout: '/data/two\n', stderr: '' });
});

test('volume rm goes on after a failure; force overlooks only what is not there', async () => {
  const removed = await runCli(['volume', 'rm', 'two', 'none', 'one'], fakeRuntime());
  expect(removed).toEqual({
    status: 1,
    stdout: 'one\n',
    stderr: 'Error: two is used\nError: there is no volume none\n',
  });
  const forced = await runCli(['volume', 'rm', '-f', 'two', 'none', 'one'], fakeRuntime());
  expect(forced).toEqual({ status: 1, stdout: 'none\none\n', stderr: 'Error: two is used!\n' });
});
