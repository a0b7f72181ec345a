// npm test: sets the machine up, builds, and runs every lane, or only those named (npm test -- unit e2e). The last line
// is the sum of all lanes. In CI a skipped test is a failure: there the machine has all that tests need.
import {
  checkSteps,
  chosen,
  countsLine,
  fuzzLane,
  gypLane,
  jestLane,
  nativeTestsLane,
  stepsLane,
  tidyLane,
  total,
} from './lib/lanes.mjs';
import { isCi, ready } from './lib/steps.mjs';

const lanes = {
  check: () => stepsLane('check', checkSteps()),
  unit: () => jestLane('unit'),
  tidy: () => tidyLane(),
  gyp: () => gypLane(),
  'native-tests': () => nativeTestsLane(),
  fuzz: () => fuzzLane(5),
  native: () => jestLane('native'),
  integration: () => jestLane('integration'),
  regression: () => jestLane('regression'),
  e2e: () => jestLane('e2e'),
};

const names = chosen('lane', lanes);
ready('test');
const counts = names.map((name) => lanes[name]());
const sum = total(counts);
if (isCi && sum.skipped > 0) console.log('skipped tests are failures in CI');
console.log(countsLine(sum));
process.exitCode = sum.failed > 0 || (isCi && sum.skipped > 0) ? 1 : 0;
