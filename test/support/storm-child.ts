// One of several processes that call what they like on the same few containers: `storm-child ROOT STATE JSON`. Prints a JSON line
// of what it did, and ends with 1 when a call did what no call may do.
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';

import { type Container, isDinghyError, Runtime } from '../../lib';
import { seededRandom } from './random-image';
import { buildTar } from './tar-builder';

export interface StormOrder {
  seed: number;
  seconds: number;
  image: string;
  names: string[];
  /** A folder of its own. */
  folder: string;
}

export interface StormReport {
  calls: number;
  /** How often what ended how: `exec ERR_CONTAINER_PAUSED`. */
  ends: Record<string, number>;
  /** What must not be. */
  faults: string[];
}

type Call = (container: Container) => Promise<unknown>;

/** Longer takes nothing, however busy the machine is: it hangs. */
const hungMs = 60_000;

const [root = '', state = '', json = ''] = process.argv.slice(2);
const order = JSON.parse(json) as StormOrder;
const random = seededRandom(order.seed);
const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!;

async function drain(stream: Readable): Promise<void> {
  stream.resume();
  await finished(stream);
}

/** Each with the errors it may end with beside ERR_CONTAINER_NOT_FOUND: another was faster. */
const calls: Record<string, [call: Call, ...codes: string[]]> = {
  start: [(container) => container.start(), 'ERR_CONTAINER_PAUSED', 'ERR_CONTAINER_NOT_RUNNING'],
  stop: [(container) => container.stop({ timeoutMs: pick([0, 20]) })],
  kill: [(container) => container.kill(pick(['SIGKILL', 'SIGTERM', 'SIGUSR1'])), 'ERR_CONTAINER_NOT_RUNNING'],
  restart: [
    (container) => container.restart({ timeoutMs: pick([0, 20]) }),
    'ERR_CONTAINER_PAUSED',
    'ERR_CONTAINER_NOT_RUNNING',
  ],
  pause: [(container) => container.pause(), 'ERR_CONTAINER_NOT_RUNNING', 'ERR_CONTAINER_PAUSED'],
  unpause: [(container) => container.unpause(), 'ERR_CONTAINER_NOT_PAUSED'],
  remove: [(container) => container.remove(), 'ERR_CONTAINER_RUNNING'],
  removeByForce: [(container) => container.remove({ force: true })],
  wait: [(container) => container.wait({ signal: AbortSignal.timeout(pick([1, 50])) }), 'ABORT_ERR'],
  inspect: [(container) => container.inspect()],
  exec: [(container) => container.exec(['sh', '-c', 'echo x']), 'ERR_CONTAINER_NOT_RUNNING', 'ERR_CONTAINER_PAUSED'],
  spawn: [
    async (container) => {
      const child = await container.spawn(['sleep', '0.01']);
      await child.wait();
    },
    'ERR_CONTAINER_NOT_RUNNING',
    'ERR_CONTAINER_PAUSED',
  ],
  attach: [async (container) => (await container.attach()).detach()],
  logs: [
    async (container) => {
      for await (const { line } of container.logs({ tail: 5 })) void line;
    },
  ],
  stats: [(container) => container.stats(), 'ERR_CONTAINER_NOT_RUNNING'],
  top: [(container) => container.top(), 'ERR_CONTAINER_NOT_RUNNING'],
  rename: [(container) => container.rename(pick(order.names)), 'ERR_NAME_IN_USE', 'ERR_INVALID_OPTION'],
  update: [(container) => container.update({ pids: pick([50, 100, -1]) })],
  copyTo: [(container) => container.copyTo(__filename, '/tmp')],
  copyFrom: [(container) => container.copyFrom('/etc/passwd', join(order.folder, 'passwd'))],
  archive: [async (container) => drain(await container.archive('/etc'))],
  extract: [(container) => container.extract('/tmp', Readable.from([buildTar([{ name: 'file', content: 'x' }])]))],
  fork: [
    async (container) => (await container.fork({ detached: false, restart: 'no' })).close(),
    // It went on being started and ended meanwhile; or a fork ended, and went, by itself.
    'ERR_CONTAINER_RUNNING',
    'ERR_CONTAINER_NOT_RUNNING',
  ],
  commit: [
    async (container) => {
      const image = await container.commit({ message: String(random()) });
      await image.remove({ force: true });
    },
    'ERR_IMAGE_NOT_FOUND', // two that are the same, removed by the other
  ],
  diff: [(container) => container.diff()],
  export: [async (container) => drain(await container.export())],
};

const report: StormReport = { calls: 0, ends: {}, faults: [] };

/** The call ended as it may; anything else is told. */
async function observe(name: string, work: () => Promise<unknown>, codes: readonly string[]): Promise<void> {
  report.calls++;
  let timer: NodeJS.Timeout | undefined;
  const hung = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`hung for ${hungMs} ms`)), hungMs);
  });
  let end = 'ok';
  try {
    await Promise.race([work(), hung]);
  } catch (error) {
    const code = isDinghyError(error) ? error.code : undefined;
    end = code ?? 'fault';
    if (code !== 'ERR_CONTAINER_NOT_FOUND' && !(code && codes.includes(code))) {
      report.faults.push(`${name}: ${describe(error)}`);
    }
  } finally {
    clearTimeout(timer);
  }
  report.ends[`${name} ${end}`] = (report.ends[`${name} ${end}`] ?? 0) + 1;
}

function describe(error: unknown): string {
  const { code, stack = String(error), cause } = error as Error & { code?: string };
  return `${code ?? ''} ${stack}${cause === undefined ? '' : `\n  caused by ${describe(cause)}`}`;
}

async function step(runtime: Runtime): Promise<void> {
  const container = await runtime.container(pick(order.names)).catch(() => undefined);
  if (!container) {
    const options = {
      name: pick(order.names),
      network: 'none',
      detached: true,
      ...(random() < 0.2 ? { autoRemove: true } : { restart: pick(['no', 'no', 'always'] as const) }),
      command: pick([
        ['sleep', '1000'],
        ['sh', '-c', 'echo done; exit 3'],
        ['sh', '-c', 'sleep 0.05'],
      ]),
    } as const;
    const codes = ['ERR_NAME_IN_USE', 'ERR_CONTAINER_PAUSED', 'ERR_CONTAINER_NOT_RUNNING'];
    await observe('run', () => runtime.run(order.image, options), codes);
    return;
  }
  const name = pick(Object.keys(calls));
  const [call, ...codes] = calls[name]!;
  await observe(name, () => call(container), codes);
}

async function main(): Promise<void> {
  const runtime = new Runtime({ root, state });
  const end = Date.now() + order.seconds * 1000;
  while (Date.now() < end && report.faults.length === 0) await step(runtime);
  await runtime.close();
  console.log(JSON.stringify(report));
  process.exitCode = report.faults.length > 0 ? 1 : 0;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
