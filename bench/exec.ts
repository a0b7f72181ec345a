// How long a command in a running container takes from Node to its end (/bin/true), beside `docker exec`, in one run, taking turns.
import { tmpdir } from 'node:os';

import { startDocker } from './docker';
import { openBench } from './place';
import { printTable, summarize } from './statistics';

const rounds = Number(process.env['DINGHY_BENCH_ROUNDS'] ?? 200);
const dockerRounds = Math.ceil(rounds / 10);
const image = 'busybox:1';

async function timed(work: () => Promise<unknown>): Promise<number> {
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
  const times = { exec: [] as number[], spawn: [] as number[], docker: [] as number[] };
  try {
    await place.runtime.pull(image);
    const container = await place.runtime.run(image, { network: 'none', command: ['sleep', '1000'] });
    await docker?.load(place.images['busybox']!, 'bench:1');
    await docker?.run('run', '-d', '--name', 'bench', '--network', 'none', 'bench:1', 'sleep', '1000');
    for (let round = -10; round < rounds; round++) {
      const exec = await timed(() => container.exec(['/bin/true'], { check: true }));
      const spawn = await timed(async () => (await container.spawn(['/bin/true'])).wait());
      const isDockersTurn = docker && round >= 0 && round < dockerRounds;
      const dockered = isDockersTurn ? await timed(() => docker.run('exec', 'bench', '/bin/true')) : undefined;
      // The first rounds warm the caches of all of them.
      if (round < 0) continue;
      times.exec.push(exec);
      times.spawn.push(spawn);
      if (dockered !== undefined) times.docker.push(dockered);
    }
    await docker?.run('rm', '-f', 'bench');
  } finally {
    await docker?.stop();
    await place.close();
  }
  printTable(
    [
      ['dinghy: exec, output collected', times.exec],
      ['dinghy: spawn and wait for the end', times.spawn],
      ['docker exec', times.docker],
    ],
    summarize(times.exec).median,
  );
}

void main();
