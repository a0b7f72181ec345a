// How long a container takes from Node to its exit (/bin/true, without a network; with the bridge and a published port), beside
// child_process.spawn('/bin/true') and `docker run --rm --network none`, in one run, taking turns: the machine's moods then hit all of them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Runtime } from 'dinghy';

import { startDocker } from './docker';
import { openBench } from './place';
import { printTable, summarize } from './statistics';

const rounds = Number(process.env['DINGHY_BENCH_ROUNDS'] ?? 60);
const dockerRounds = Math.ceil(rounds / 6);
const image = 'busybox:1';
const restMs = 300;

const dockerTrue = ['run', '--rm', '--network', 'none', 'bench:1', '/bin/true'];

async function container(runtime: Runtime, options: object): Promise<void> {
  const made = await runtime.run(image, { ...options, command: ['/bin/true'] });
  const { exitCode } = await made.wait();
  if (exitCode !== 0) throw new Error(`/bin/true ended with ${exitCode}`);
  // Not in the time of the start, yet it must be done before the next one: a removal in the background would disturb it.
  pendingRemoval = () => made.remove({ volumes: true });
}
let pendingRemoval: () => Promise<void> = async () => undefined;

async function child(): Promise<void> {
  await once(spawn('/bin/true', { stdio: 'ignore' }), 'close');
}

async function timed(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

async function main(): Promise<void> {
  const place = await openBench({ busybox: '1' });
  const docker = await startDocker(tmpdir()).catch((error: Error) => {
    console.log(`docker is left out: ${error.message}`);
    return undefined;
  });
  const times = {
    spawn: [] as number[],
    dinghy: [] as number[],
    removal: [] as number[],
    published: [] as number[],
    rested: [] as number[],
    docker: [] as number[],
  };
  try {
    const { runtime } = place;
    await runtime.pull(image);
    await docker?.load(place.images['busybox']!, 'bench:1');
    for (let round = -5; round < rounds; round++) {
      const spawned = await timed(child);
      const started = await timed(() => container(runtime, { network: 'none' }));
      const removed = await timed(() => pendingRemoval());
      const dockered =
        docker && round >= 0 && round < dockerRounds ? await timed(() => docker.run(...dockerTrue)) : undefined;
      // The first rounds warm the caches of all of them.
      if (round < 0) continue;
      times.spawn.push(spawned);
      times.dinghy.push(started);
      times.removal.push(removed);
      if (dockered !== undefined) times.docker.push(dockered);
    }
    // Loops of their own: what they leave the kernel to do would be in the time of whoever comes next.
    for (let round = -5; round < rounds; round++) {
      const published = await timed(() => container(runtime, { ports: [80] }));
      await pendingRemoval();
      if (round >= 0) times.published.push(published);
    }
    for (let round = 0; round < rounds / 3; round++) {
      await sleep(restMs);
      times.rested.push(await timed(() => container(runtime, { network: 'none' })));
      await pendingRemoval();
    }
  } finally {
    await docker?.stop();
    await place.close();
  }
  const baseline = summarize(times.spawn).median;
  printTable(
    [
      ["child_process.spawn('/bin/true')", times.spawn],
      ['dinghy: run and wait for the exit', times.dinghy],
      ['dinghy: with a bridge and a port', times.published],
      [`dinghy: no network, after ${restMs} ms' rest`, times.rested],
      ['dinghy: remove afterwards', times.removal],
      ['docker run --rm --network none', times.docker],
    ],
    baseline,
  );
}

void main();
