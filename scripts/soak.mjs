// npm run soak [-- PART…]: for minutes what `npm test` does for seconds. Once per issue, with the seed and the result in its note.
//   fuzz        every parser of untrusted bytes, DINGHY_SOAK_MINUTES each (default 2)
//   kills       the demo killed at 100 random moments
//   lifetimes   containers of every kind, one after the other: neither memory nor descriptors may grow
// DINGHY_TEST_SEED repeats a run.
import { fuzzLane, stepsLane } from './lib/lanes.mjs';
import { ready, root, run, tool } from './lib/steps.mjs';

const seed = process.env['DINGHY_TEST_SEED'] ?? String(Math.floor(Math.random() * 1e9));
const minutes = Number(process.env['DINGHY_SOAK_MINUTES'] ?? 2);

function kills() {
  const args = ['test/e2e/kill-anytime.test.ts', '--selectProjects', 'e2e', '-i', '-t', 'killed at'];
  const env = { DINGHY_TEST_SEED: seed, DINGHY_TEST_KILLS: '100' };
  return stepsLane('kills', [{ name: 'kill -9 at 100 moments', command: tool('jest'), args, env }]).failed;
}

function lifetimes() {
  const env = { DINGHY_SOAK_MINUTES: String(minutes) };
  return run(process.execPath, [`${root}/scripts/bench.mjs`, 'soak'], { mayFail: true, env }).status;
}

const parts = { fuzz: () => fuzzLane(minutes * 60).failed, kills, lifetimes };
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(' ')}; there are: ${Object.keys(parts).join(' ')}`);
  process.exit(2);
}
ready('test');
console.log(`seed ${seed}`);
const failed = (wanted.length > 0 ? wanted : Object.keys(parts)).filter((name) => parts[name]() !== 0);
console.log(failed.length > 0 ? `failed: ${failed.join(' ')} (seed ${seed})` : `all held (seed ${seed})`);
process.exitCode = failed.length > 0 ? 1 : 0;
