// npm run soak [-- PART…]: for minutes what `npm test` does for seconds. Once per issue, with the seed and the result in its note.
//   fuzz          every parser of untrusted bytes, DINGHY_SOAK_MINUTES each (default 2)
//   pulls         cut at 100 offsets, killed at 100 moments, out of space at 30 sizes
//   differential  60 random images and all real ones, each the same tree as umoci's
//   networks      200 containers on one network find each other by name; 50 networks come and go 20 times
//   kills         the demo killed at 100 random moments
//   deaths        owners and supervisors killed at 200 random moments each, both at 50
//   many          100 containers at once 20 times, 10,000 execs, 1 GiB of log
//   storm         several processes call what they like on the same few containers, DINGHY_SOAK_MINUTES long
//   lifetimes     containers of every kind, one after the other: neither memory nor descriptors may grow
// DINGHY_TEST_SEED repeats a run.
import { chosen, fuzzLane, stepsLane } from './lib/lanes.mjs';
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

function fuzz() {
  const seconds = String(minutes * 60);
  const args = ['--selectProjects', 'unit', '-i', '-t', '^what (comes|stands)'];
  const env = { DINGHY_TEST_SEED: seed, DINGHY_FUZZ_SECONDS: seconds };
  const parsers = { name: 'fuzz: parsers of the library', command: tool('jest'), args, env };
  return fuzzLane(minutes * 60).failed + stepsLane('parsers', [parsers]).failed;
}

function pulls() {
  const args = [
    'test/integration/pull-faults.test.ts',
    '--selectProjects',
    'integration',
    '-i',
    '--testTimeout',
    '1200000',
  ];
  const env = { DINGHY_TEST_SEED: seed, DINGHY_TEST_PULL_FAULTS: 'full' };
  return stepsLane('pulls', [{ name: 'pulls that fail', command: tool('jest'), args, env }]).failed;
}

function differential() {
  const args = ['test/integration/umoci-differential.test.ts', '--selectProjects', 'integration', '-i'];
  const env = { DINGHY_TEST_SEED: seed, DINGHY_TEST_DIFFERENTIAL: '60' };
  return stepsLane('differential', [{ name: 'as umoci unpacks', command: tool('jest'), args, env }]).failed;
}

function networks() {
  const files = ['test/integration/network-names.test.ts', 'test/integration/networks.test.ts'];
  const args = [...files, '--selectProjects', 'integration', '-i', '-t', 'find five others|come and go'];
  const env = { DINGHY_TEST_FLEET: '200', DINGHY_TEST_NETWORK_ROUNDS: '20' };
  return stepsLane('networks', [{ name: 'many on a network, many networks', command: tool('jest'), args, env }]).failed;
}

function storm() {
  const args = ['test/integration/container-storm.test.ts', '--selectProjects', 'integration', '-i'];
  const env = { DINGHY_TEST_SEED: seed, DINGHY_TEST_STORM_SECONDS: String(minutes * 60) };
  return stepsLane('storm', [{ name: 'calls from several processes', command: tool('jest'), args, env }]).failed;
}

function deaths() {
  const args = ['test/integration/container-deaths.test.ts', '--selectProjects', 'integration', '-i'];
  const env = { DINGHY_TEST_SEED: seed, DINGHY_TEST_DEATHS: '200' };
  return stepsLane('deaths', [{ name: 'killed at 200 moments each', command: tool('jest'), args, env }]).failed;
}

function many() {
  const args = ['test/integration/container-many.test.ts', '--selectProjects', 'integration', '-i'];
  const env = {
    DINGHY_TEST_CROWD: '100',
    DINGHY_TEST_CROWD_ROUNDS: '20',
    DINGHY_TEST_EXECS: '10000',
    DINGHY_TEST_LOG_MIB: '1024',
  };
  return stepsLane('many', [{ name: 'many containers, execs and lines', command: tool('jest'), args, env }]).failed;
}

const parts = { fuzz, pulls, differential, networks, kills, deaths, many, storm, lifetimes };
const names = chosen('part', parts);
ready('test');
console.log(`seed ${seed}`);
const failed = names.filter((name) => parts[name]() !== 0);
console.log(failed.length > 0 ? `failed: ${failed.join(' ')} (seed ${seed})` : `all held (seed ${seed})`);
process.exitCode = failed.length > 0 ? 1 : 0;
