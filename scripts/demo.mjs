// npm run demo: an nginx image of Debian's packages goes to a real registry on loopback, and examples/nginx.ts takes it from
// there. `npm run demo -- nginx:1.18` takes the image from the public registry when that can be reached.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ready, root } from './lib/steps.mjs';

const require = createRequire(import.meta.url);
const kLocalImage = 'nginx:1.18';

const started = performance.now();
const wanted = process.argv[2];
ready('demo');
if (wanted !== undefined && (await publicRegistryAnswers())) {
  process.exitCode = await runExample(wanted, {});
} else if (wanted !== undefined && wanted !== kLocalImage) {
  console.error(`demo: the public registry cannot be reached; without it there is only ${kLocalImage}`);
  process.exitCode = 1;
} else {
  if (wanted !== undefined) console.log('the public registry cannot be reached: taking the image from a local one');
  process.exitCode = await runWithLocalRegistry();
}
console.log(`the whole demo took ${((performance.now() - started) / 1000).toFixed(1)} s`);

async function runWithLocalRegistry() {
  const { startRegistry, pushImage, buildImages, imageCache } = require('./lib/registry.js');
  const [image] = buildImages(['nginx']);
  const registry = await startRegistry({ storage: imageCache('registry') });
  try {
    pushImage(registry.host, image, `library/${kLocalImage}`);
    console.log(`registry at ${registry.host} has library/${kLocalImage}`);
    return await runExample(kLocalImage, { DINGHY_MIRROR: registry.host });
  } finally {
    await registry.stop();
  }
}

/** Runs the example in folders of its own, which go with it. Gives its exit status. */
async function runExample(image, env) {
  const folder = mkdtempSync(join(tmpdir(), `dinghy-demo-${process.pid}-`));
  const sweeper = startSweeper(folder);
  // The example dies with us, even if we are killed; its containers die with it, by their lifeline.
  const example = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', process.execPath, join(root, 'examples/build/nginx.js'), image],
    {
      stdio: 'inherit',
      env: { ...process.env, ...env, DINGHY_ROOT: join(folder, 'root'), DINGHY_STATE: join(folder, 'state') },
    },
  );
  // A terminal sends Ctrl-C to the example as well: it ends, and then we do, in order.
  const ignore = () => undefined;
  process.on('SIGINT', ignore).on('SIGTERM', () => example.kill('SIGTERM'));
  const status = await new Promise((resolve) => {
    example.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1)));
    example.once('error', (error) => {
      console.error(`demo: ${error.message}`);
      resolve(1);
    });
  });
  process.off('SIGINT', ignore);
  await sweeper.sweep();
  return status;
}

// Removes the folder when its stdin ends: because we are done, or because we were killed and could not do it ourselves.
// Supervisors need a moment to let go of it then, hence more than one try.
function startSweeper(folder) {
  const script = 'read -r _; for i in 1 2 3 4 5 6 7 8; do rm -rf -- "$1" 2>/dev/null && exit; sleep 0.25; done';
  const child = spawn('sh', ['-c', script, 'sweeper', folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return {
    sweep() {
      child.stdin.end();
      return ended;
    },
  };
}

async function publicRegistryAnswers() {
  try {
    const answer = await fetch('https://registry-1.docker.io/v2/', { signal: AbortSignal.timeout(5000) });
    return answer.status === 200 || answer.status === 401;
  } catch {
    return false;
  }
}
