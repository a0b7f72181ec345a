// npm run check: format, lint, types, and the unit tests (layering among them). Every step runs, also after one that failed.
import { checkSteps, jestLane, stepsLane, total } from './lib/lanes.mjs';
import { root, run } from './lib/steps.mjs';

run(`${root}/scripts/setup`, ['test'], { mayFail: true });
run(process.execPath, ['scripts/build.mjs', '--vendor-only']);
const counts = [stepsLane('check', checkSteps()), jestLane('unit')];
process.exitCode = total(counts).failed > 0 ? 1 : 0;
