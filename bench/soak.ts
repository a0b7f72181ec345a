// Runs containers of every kind for minutes (DINGHY_SOAK_MINUTES, default 5) and watches what must not grow: this process's
// memory and descriptors, and what is on the machine.
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

import type { Container, Runtime } from 'dinghy';

import { openBench } from './place';

const minutes = Number(process.env['DINGHY_SOAK_MINUTES'] ?? 5);
const image = 'busybox:1';

const steps: Record<string, (runtime: Runtime) => Promise<void>> = {
  async shortLived(runtime) {
    const { exitCode } = await (
      await runtime.run(image, { network: 'none', command: ['true'], autoRemove: true })
    ).wait();
    expectEqual(exitCode, 0);
  },
  async executed(runtime) {
    const { stdout } = await runtime.exec(image, ['echo', 'ahoy'], { network: 'none' });
    expectEqual(stdout, 'ahoy\n');
  },
  async published(runtime) {
    const page = 'echo ahoy > /index.html; exec httpd -f -p 80 -h /';
    await using(
      await runtime.run(image, { ports: [80], command: ['sh', '-c', page], waitFor: { port: 80 } }),
      async (server) => {
        const { host, port } = await server.port(80);
        expectEqual(await getPage(host, port), 'ahoy\n');
      },
    );
  },
  async manyExecs(runtime) {
    await using(await runtime.run(image, { network: 'none', command: ['sleep', '60'] }), async (container) => {
      const results = await Promise.all(Array.from({ length: 8 }, () => container.exec(['sh', '-c', 'exit 3'])));
      results.forEach(({ exitCode }) => expectEqual(exitCode, 3));
    });
  },
  async stopped(runtime) {
    await using(await runtime.run(image, { network: 'none', command: ['sleep', '60'], init: true }), (container) =>
      container.stop(),
    );
  },
};

async function using(container: Container, work: (container: Container) => Promise<void>): Promise<void> {
  try {
    await work(container);
  } finally {
    await container.close();
  }
}

// Not fetch(): Node keeps a connection pool, 24 KB, for every origin that was ever asked, and each round has a port of its own.
async function getPage(host: string, port: number): Promise<string> {
  const [response] = (await once(get({ host, port, agent: false }), 'response')) as [IncomingMessage];
  return text(response);
}

function expectEqual(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

interface Usage {
  megabytes: number;
  /** Of JavaScript: what RSS hides behind the allocators' moods. */
  heap: number;
  descriptors: number;
}

function usage(): Usage {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  return { megabytes: rss / 1e6, heap: heapUsed / 1e6, descriptors: readdirSync('/proc/self/fd').length };
}

async function main(): Promise<void> {
  const place = await openBench({ busybox: '1' });
  const names = Object.keys(steps);
  const failures: string[] = [];
  let done = 0;
  let early: Usage | undefined;
  try {
    await place.runtime.pull(image);
    const deadline = Date.now() + minutes * 60_000;
    for (; Date.now() < deadline; done++) {
      const name = names[done % names.length]!;
      await (steps[name] as (runtime: Runtime) => Promise<void>)(place.runtime).catch((error: Error) =>
        failures.push(`${name}: ${error.message}`),
      );
      // By then everything that is loaded once has been.
      if (done === 10 * names.length) early = usage();
    }
  } finally {
    await place.close();
  }
  const late = usage();
  console.log(`${done} rounds, ${failures.length} failures`);
  if (early) {
    console.log(
      `memory ${early.megabytes.toFixed(0)} -> ${late.megabytes.toFixed(0)} MB, heap ${early.heap.toFixed(1)} -> ${late.heap.toFixed(1)} MB, descriptors ${early.descriptors} -> ${late.descriptors}`,
    );
    if (late.megabytes > early.megabytes * 1.5 + 20) failures.push('memory has grown');
    if (late.heap > early.heap + 3) failures.push('the heap has grown');
    if (late.descriptors > early.descriptors + 5) failures.push('descriptors have leaked');
  }
  [...new Set(failures)].slice(0, 20).forEach((line) => console.log(line));
  process.exitCode = failures.length > 0 ? 1 : 0;
}

void main();
