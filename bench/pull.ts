// How long it takes until an image from a registry on loopback can be run: beside curl into the bare unpack mode, which does the
// same work (blob kept, both hashes, everything synced), and beside docker and podman. All take turns, each with an empty store
// on tmpfs: the machine's moods then hit all of them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { text } from 'node:stream/consumers';

import { Runtime } from 'dinghy';

import { closeFd, pipe } from '../lib/native/binding';
import { startTask } from '../lib/native/task';
import { buildImages, pushImage, startRegistry } from '../scripts/lib/registry.js';
import { type Engine, runToEnd, startDocker } from './docker';
import { tarsOf, writeLayout } from './layouts';
import { benchBase } from './place';
import { startPodman } from './podman';
import { printTable, summarize } from './statistics';

const rounds = Number(process.env['DINGHY_BENCH_ROUNDS'] ?? 7);
const shapes = ['gzip', 'zstd', 'twelve'] as const;
type Shape = (typeof shapes)[number];
const titles: Record<Shape, string> = {
  gzip: 'one layer, gzip',
  zstd: 'one layer, zstd',
  twelve: 'twelve layers, gzip',
};

interface Layer {
  mediaType: string;
  digest: string;
  size: number;
}

interface Subject {
  host: string;
  layers: Layer[];
  diffIds: string[];
}

async function getJson<T>(url: string): Promise<T> {
  const accept = 'application/vnd.oci.image.manifest.v1+json,application/vnd.docker.distribution.manifest.v2+json';
  const [response] = (await once(get(url, { headers: { accept } }), 'response')) as [IncomingMessage];
  return JSON.parse(await text(response)) as T;
}

async function inspect(host: string, shape: Shape): Promise<Subject> {
  const manifest = await getJson<{ config: Layer; layers: Layer[] }>(`http://${host}/v2/bench/manifests/${shape}`);
  const config = await getJson<{ rootfs: { diff_ids: string[] } }>(
    `http://${host}/v2/bench/blobs/${manifest.config.digest}`,
  );
  return { host, layers: manifest.layers, diffIds: config.rootfs.diff_ids };
}

/** curl's output is the unpack mode's input, with nothing between. */
async function curlLayer(host: string, layer: Layer, diffId: string, folder: string): Promise<void> {
  mkdirSync(join(folder, 'diff'), { recursive: true });
  const [readEnd, writeEnd] = pipe();
  const curl = spawn('curl', ['-sf', `http://${host}/v2/bench/blobs/${layer.digest}`], {
    stdio: ['ignore', writeEnd, 'inherit'],
  });
  closeFd(writeEnd);
  const fields = {
    layerDir: join(folder, 'diff'),
    blobFile: join(folder, 'blob'),
    mediaType: layer.mediaType,
    expected: { digest: layer.digest, size: layer.size, diffId },
    sync: true,
  };
  const task = startTask('unpack', { stdio: [readEnd, null, null], requests: [{ op: 'unpack', fields }] });
  closeFd(readEnd);
  const reply = await task.replies[0]!;
  task.control.close();
  await (curl.exitCode === null ? once(curl, 'close') : undefined);
  if (!reply.ok) throw new Error(`the bare unpack mode failed: ${reply.error.step}: ${reply.error.message}`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** The most memory that a process of the unpack mode took, in KiB. Such a process lives as long as its layer. */
function watchUnpackers(): { peakKib: () => number } {
  let peak = 0;
  const timer = setInterval(() => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'latin1');
        if (!/^Name:\tdinghy$/m.test(status)) continue;
        peak = Math.max(peak, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0));
      } catch {
        // it has just ended
      }
    }
  }, 25);
  return {
    peakKib: () => {
      clearInterval(timer);
      return peak;
    },
  };
}

/** Of this process, over some pulls with nothing else going on here. */
async function measureNode(pull: () => Promise<unknown>): Promise<void> {
  const collect = (globalThis as { gc?: () => void }).gc ?? ((): void => undefined);
  collect();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const before = process.memoryUsage.rss();
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 5);
  delay.enable();
  for (let round = 0; round < 3; round++) await pull();
  delay.disable();
  clearInterval(timer);
  const ms = (nanoseconds: number): string => (nanoseconds / 1e6).toFixed(1);
  console.log(
    `Node grew by ${((most - before) / 2 ** 20).toFixed(1)} MiB; event loop delay: ` +
      `p99 ${ms(delay.percentile(99))} ms, max ${ms(delay.max)} ms`,
  );
  const watch = watchUnpackers();
  await pull();
  console.log(`unpack mode: peak ${(watch.peakKib() / 1024).toFixed(1)} MiB`);
}

async function main(): Promise<void> {
  const base = mkdtempSync(join(benchBase(), `dinghy-bench-${process.pid}-`));
  const registry = await startRegistry({});
  const [source] = buildImages(['mariadb']) as [string];
  const one = writeLayout(join(base, 'one'), 'one', tarsOf(source, 1, base));
  const twelve = writeLayout(join(base, 'twelve'), 'twelve', tarsOf(source, 12, base));
  pushImage(registry.host, one, 'bench:gzip');
  pushImage(registry.host, twelve, 'bench:twelve');
  await runToEnd('skopeo', [
    ...['copy', '--insecure-policy', '-q', '--dest-tls-verify=false', '--dest-compress-format', 'zstd', '-f', 'oci'],
    ...[`oci:${one}`, `docker://${registry.host}/bench:zstd`],
  ]);
  const left = (name: string) => (error: Error) => {
    console.log(`${name} is left out: ${error.message}`);
    return undefined;
  };
  const docker = await startDocker(base).catch(left('docker'));
  const podman = await startPodman(benchBase()).catch(left('podman'));
  let number = 0;

  const pullFresh = async (shape: Shape): Promise<number> => {
    const folder = join(base, `store-${number++}`);
    const runtime = new Runtime({ root: join(folder, 'root'), state: join(folder, 'state') });
    try {
      return await timed(() => runtime.pull(`${registry.host}/bench:${shape}`));
    } finally {
      await runtime.close();
      await rm(folder, { recursive: true }); // not rmSync: the event loop's delay is measured over this
    }
  };
  const curlFresh = async ({ host, layers, diffIds }: Subject): Promise<number> => {
    const folder = join(base, `bare-${number++}`);
    const one = (layer: Layer, index: number): Promise<void> =>
      curlLayer(host, layer, diffIds[index]!, join(folder, String(index)));
    try {
      return await timed(() => Promise.all(layers.map(one)));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  const engine = async ({ run }: Engine, flags: string[], shape: Shape): Promise<number | undefined> => {
    const reference = `${registry.host}/bench:${shape}`;
    try {
      const took = await timed(() => run('pull', '-q', ...flags, reference));
      await run('rmi', reference);
      return took;
    } catch {
      return undefined; // it does not take images of this shape
    }
  };

  try {
    for (const shape of shapes) {
      const subject = await inspect(registry.host, shape);
      const megabytes = subject.layers.reduce((sum, { size }) => sum + size, 0) / 1e6;
      const times = { curl: [] as number[], dinghy: [] as number[], docker: [] as number[], podman: [] as number[] };
      for (let round = -1; round < rounds; round++) {
        const took = {
          curl: await curlFresh(subject),
          dinghy: await pullFresh(shape),
          docker: docker && (await engine(docker, [], shape)),
          podman: podman && (await engine(podman, ['--tls-verify=false'], shape)),
        };
        if (round < 0) continue; // the first one warms the caches of all of them
        for (const [name, value] of Object.entries(took)) {
          if (value !== undefined) times[name as keyof typeof times].push(value);
        }
      }
      console.log(`\n${titles[shape]}, ${megabytes.toFixed(0)} MB`);
      printTable(
        [
          ['curl into the bare unpack mode', times.curl],
          ['dinghy pull', times.dinghy],
          ['docker pull', times.docker],
          ['podman pull', times.podman],
        ],
        summarize(times.curl).median,
      );
    }
    await measureNode(() => pullFresh('gzip'));
    const folder = join(base, 'again');
    const runtime = new Runtime({ root: join(folder, 'root'), state: join(folder, 'state') });
    const reference = `${registry.host}/bench:gzip`;
    await runtime.pull(reference);
    const again: number[] = [];
    for (let round = 0; round < 21; round++) again.push(await timed(() => runtime.pull(reference, { force: true })));
    console.log(`\npulling what is here: ${summarize(again).median.toFixed(1)} ms`);
    await runtime.close();
  } finally {
    await podman?.stop();
    await docker?.stop();
    await registry.stop();
    rmSync(base, { recursive: true, force: true });
  }
}

void main();
