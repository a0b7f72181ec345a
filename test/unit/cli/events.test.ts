import { runCli } from '../../support/cli';

const event = {
  type: 'container',
  action: 'die',
  id: 'c0ffee',
  time: new Date('2026-03-01T11:59:59.123Z'),
  timestamp: '2026-03-01T11:59:59.123456789Z',
  attributes: { name: 'web', image: 'nginx', exitCode: '7' },
};

function fakeRuntime(): { calls: unknown[]; events: unknown } {
  const calls: unknown[] = [];
  return {
    calls,
    events: (options: object) => {
      calls.push(options);
      return (async function* () {
        yield event;
      })();
    },
  };
}

test('events prints lines as Docker does', async () => {
  const runtime = fakeRuntime();
  expect(await runCli(['events'], runtime)).toEqual({
    status: 0,
    stdout: '2026-03-01T11:59:59.123456789Z container die c0ffee (exitCode=7, image=nginx, name=web)\n',
    stderr: '',
  });
  expect(runtime.calls).toEqual([{ filters: {}, since: undefined, until: undefined }]);
});

test('its times and filters are those of Docker', async () => {
  const runtime = fakeRuntime();
  const flags = ['--since', '10m', '--until', '2026-03-01T12:00:00Z', '-f', 'event=die', '-f', 'event=oom'];
  await runCli(['events', ...flags, '--filter', 'label=a=b', '--filter', 'container=web'], runtime);
  expect(runtime.calls).toEqual([
    {
      filters: { action: ['die', 'oom'], label: ['a=b'], container: ['web'] },
      since: new Date('2026-03-01T11:50:00Z'),
      until: new Date('2026-03-01T12:00:00Z'),
    },
  ]);
  for (const filter of ['node=x', 'die', 'constructor=x']) {
    expect(await runCli(['events', '-f', filter], runtime)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('--filter takes container=, event='),
    });
  }
});

test('--format: json with whole nanoseconds, and templates', async () => {
  const json =
    '{"status":"die","id":"c0ffee","from":"nginx","Type":"container","Action":"die","Actor":{"ID":"c0ffee","Attributes":' +
    '{"name":"web","image":"nginx","exitCode":"7"}},"scope":"local","time":1772366399,"timeNano":1772366399123456789}\n';
  expect((await runCli(['events', '--format', 'json'], fakeRuntime())).stdout).toBe(json);
  expect((await runCli(['events', '--format', '{{json .}}'], fakeRuntime())).stdout).toBe(json);
  const template = '{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.TimeNano}} {{.From}}';
  expect((await runCli(['events', '--format', template], fakeRuntime())).stdout).toBe(
    'container die web 1772366399123456789 nginx\n',
  );
});
