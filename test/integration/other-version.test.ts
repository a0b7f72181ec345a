import { join } from 'node:path';

import type { Container, Runtime } from '../../lib';
import { TestBed } from '../support/busybox';
import { NextVersion } from '../support/next-version';

// Containers outlive an upgrade of the library, and a downgrade: what each version can do with the other's.

let bed: TestBed;
let next: NextVersion;
beforeAll(async () => {
  bed = await TestBed.make();
  next = new NextVersion(join(bed.folder, 'next'));
}, 180_000);
afterAll(async () => {
  await bed.remove();
});

interface Given {
  image: string;
  prefix: string;
}

// Both functions run in either version, as text: they use nothing but what they are given.

async function make(runtime: Runtime, { image, prefix }: Given): Promise<void> {
  const script = 'echo ready; while [ ! -e /end ]; do sleep 0.02; done; echo done; exit 7';
  for (const name of ['stopped', 'restarted', 'killed', 'removed', 'ended']) {
    const container = await runtime.run(image, {
      name: `${prefix}-${name}`,
      network: 'none',
      detached: true,
      command: ['sh', '-c', script],
    });
    await container.waitFor({ log: 'ready' });
    if (name === 'ended') void container.exec(['sh', '-c', 'sleep 3; touch /end']).catch(() => undefined);
  }
}

async function use(runtime: Runtime, { image, prefix }: Given): Promise<Record<string, unknown>> {
  const named = (name: string): Promise<Container> => runtime.container(`${prefix}-${name}`);
  const tell = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      (value) => value ?? 'done',
      (error: { code?: string; message: string }) => error.code ?? error.message,
    );
  const ended = await named('ended');
  const follow = async (): Promise<string[]> => {
    const lines = [];
    for await (const { line } of ended.logs({ follow: true })) lines.push(line);
    return lines;
  };
  const end = Promise.all([ended.wait().then(({ exitCode }) => exitCode), follow()]);

  const told: Record<string, unknown> = {};
  const one = await named('stopped');
  const refused: Record<string, () => Promise<unknown>> = {
    exec: () => one.exec(['true']),
    spawn: () => one.spawn(['true']),
    attach: () => one.attach(),
    start: () => one.start(),
    pause: () => one.pause(),
    unpause: () => one.unpause(),
    rename: () => one.rename(`${prefix}-renamed`),
    update: () => one.update({ pids: 50 }),
    copyTo: () => one.copyTo('/etc/hostname', '/tmp'),
    copyFrom: () => one.copyFrom('/etc/passwd', '/tmp/nowhere'),
    archive: () => one.archive('/etc'),
    diff: () => one.diff(),
    export: () => one.export(),
  };
  for (const [name, call] of Object.entries(refused)) told[name] = await tell(call());
  told['message'] = await one.exec(['true']).catch((error: Error) => error.message);
  told['status'] = (await one.inspect()).status;
  told['top'] = (await one.top()).length > 0;
  told['stats'] = (await one.stats()).pids.current > 0;
  told['signal'] = await tell(one.kill('SIGUSR1'));
  told['stop'] = await tell(one.stop({ timeoutMs: 0 }));
  told['code'] = (await one.wait()).exitCode;
  // From now on it is one of this version.
  told['startAgain'] = await tell(one.start());
  told['execAgain'] = await tell(one.exec(['echo', 'here']).then(({ stdout }) => stdout));
  const restarted = await named('restarted');
  told['restart'] = await tell(restarted.restart({ timeoutMs: 0 }));
  told['execRestarted'] = await tell(restarted.exec(['echo', 'here']).then(({ stdout }) => stdout));
  const killed = await named('killed');
  told['kill'] = await tell(killed.kill());
  told['killed'] = (await killed.wait()).exitCode;
  told['removeStopped'] = await tell(killed.remove());
  told['removeRunning'] = await tell((await named('removed')).remove());
  told['removeByForce'] = await tell((await named('removed')).remove({ force: true }));
  told['end'] = await end;
  told['image'] = image === ended.image;
  for (const container of [one, restarted, ended]) await container.remove({ force: true });
  return told;
}

const refused = 'ERR_SUPERVISOR_VERSION';
const expected = {
  ...Object.fromEntries(
    'exec spawn attach start pause unpause rename update copyTo copyFrom archive diff export'
      .split(' ')
      .map((call) => [call, refused]),
  ),
  status: 'running',
  top: true,
  stats: true,
  signal: 'done',
  stop: 'done',
  code: 137,
  startAgain: 'done',
  execAgain: 'here\n',
  restart: 'done',
  execRestarted: 'here\n',
  kill: 'done',
  killed: 137,
  removeStopped: 'done',
  removeRunning: 'ERR_CONTAINER_RUNNING',
  removeByForce: 'done',
  end: [7, ['ready', 'done']],
  image: true,
};

async function inNext(work: typeof make | typeof use, given: Given): Promise<unknown> {
  const code = `say({ told: await (${work.toString()})(runtime, given) ?? null })`;
  const { code: status, output } = await next.start(bed.root, bed.state, code, given).ended;
  if (status !== 0) throw new Error(output);
  return (JSON.parse(output) as { told: unknown }).told;
}

const both = { here: 1, there: 2 };

test('an older library and the containers of a newer one', async () => {
  const given = { image: bed.busybox, prefix: 'newer' };
  await inNext(make, given);
  const { message, ...told } = await use(bed.runtime, given);
  expect(told).toEqual(expected);
  expect(message).toContain(`protocol version ${both.there}, and this one speaks ${both.here} (restart it`);
  expect(await bed.runtime.containers({ all: true })).toEqual([]);
});

test('a newer library and the containers of an older one', async () => {
  const given = { image: bed.busybox, prefix: 'older' };
  await make(bed.runtime, given);
  const { message, ...told } = (await inNext(use, given)) as Record<string, unknown>;
  expect(told).toEqual(expected);
  expect(message).toContain(`protocol version ${both.here}, and this one speaks ${both.there} (restart it`);
  expect(await bed.runtime.containers({ all: true })).toEqual([]);
});
